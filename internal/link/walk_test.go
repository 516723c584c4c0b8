package link

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/ir"
	"weir/internal/secrets"
)

// wander changes a set of resources by chance.
type wander struct {
	*rand.Rand
	have map[string]ir.Resource
}

func newWander(seed uint64) *wander {
	return &wander{rand.New(rand.NewPCG(seed, 1)), map[string]ir.Resource{}}
}

func (w *wander) step() {
	for range 1 + w.IntN(20) {
		id := fmt.Sprintf("map/m%d", w.IntN(60))
		switch w.IntN(4) {
		case 0:
			delete(w.have, id)
		case 1:
			name := fmt.Sprint("c", w.IntN(5))
			w.have["certificate/"+name] = cert(name, w.Int64N(3))
		default:
			w.have[id] = res(id, strings.Repeat("v", w.IntN(4000))+fmt.Sprint(w.IntN(3)))
		}
	}
	if w.IntN(50) == 0 {
		clear(w.have)
	}
}

// list gives the resources in any order.
func (w *wander) list() []ir.Resource {
	var list []ir.Resource
	for _, r := range w.have {
		list = append(list, r)
	}
	w.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func steps(short, soak int) int {
	if os.Getenv("WEIR_SOAK") != "" {
		return soak
	}
	return short
}

// TestWalk changes a group at random while its agent comes and goes and the control plane restarts; the agent
// always ends with what the group has.
func TestWalk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *HubOptions) { o.RingBytes = 200 << 10 })
	dir := w.enrol("lb1")
	walk := newWander(7)
	self := ir.Self{Name: "lb1", Zone: "az1", State: weir.Active}
	a := w.agent(dir)
	for rev := int64(1); rev <= int64(steps(400, 20000)); rev++ {
		walk.step()
		if walk.IntN(10) == 0 {
			self.Zone = fmt.Sprint("az", walk.IntN(3))
		}
		switch walk.IntN(25) {
		case 0:
			w.stop()
			w.start()
		case 1:
			a.stop()
			a = w.agent(dir)
		case 2:
			w.hub.Cut("lb1")
		}
		if err := w.hub.SetGroup("edge", rev, walk.list(), []ir.Self{self}); err != nil {
			t.Fatal(err)
		}
		if walk.IntN(3) > 0 {
			continue // so that several changes pile up
		}
		want, _ := w.hub.Wanted("lb1")
		s := a.await(func(s State) error {
			if s.Hash != want.Hash {
				return fmt.Errorf("agent at revision %d, %+v", s.Revision, a.Connection())
			}
			return nil
		})
		expect := map[string]string{}
		for id, r := range walk.have {
			expect[id] = string(r.Body)
		}
		mine, _ := json.Marshal(self)
		expect["self"] = string(mine)
		var sum Hash
		for id, body := range expect {
			sum = sum.xor(hashResource(id, []byte(body)))
		}
		if got := content(s.Resources); !reflect.DeepEqual(got, expect) || sum != s.Hash {
			t.Fatalf("revision %d: agent has %d resources, group %d", rev, len(got), len(expect))
		}
		if !slices.IsSortedFunc(s.Resources, func(a, b ir.Resource) int { return strings.Compare(a.ID, b.ID) }) {
			t.Fatal("the state is not sorted")
		}
		for name, ref := range s.keys {
			if key, err := a.Key(name, ref); err != nil || key.Text() != fmt.Sprintf("KEY-CANARY %s %d\n", name, ref.Generation) {
				t.Fatalf("revision %d: key of %s: %v", rev, name, err)
			}
		}
	}
}

// record writes a journal by a walk and gives the content after each whole transaction, by the file's length.
func record(t *testing.T, dir string, count int) map[int64]map[string]string {
	t.Helper()
	j, r, _, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	after := map[int64]map[string]string{0: {}}
	walk := newWander(3)
	before := &change{}
	for rev := int64(1); rev <= int64(count); rev++ {
		walk.step()
		c := compare(before.entries, before.hash, walk.list())
		d, hash := c.delta(before.hash), c.hash
		before = c
		tr := &transaction{reset: rev == 1}
		in := bufio.NewReader(bytes.NewReader(d.lines))
		for {
			line, err := readLine(in)
			if err != nil {
				break
			}
			m, err := decodeMessage(line)
			if err != nil {
				t.Fatal(err)
			}
			tr.add(m)
		}
		if rev > 1 {
			if err := j.append(tr.lines(nil, rev, hash)); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.apply(tr, "e1", rev, hash); err != nil {
			t.Fatal(err)
		}
		if rev == 1 || j.bloated() {
			if err := j.rewrite(r); err != nil {
				t.Fatal(err)
			}
		}
		after[j.size] = content(r.list)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	return after
}

// TestTornJournal cuts a journal at every length there is around its transactions, and at many others.
func TestTornJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	after := record(t, dir, 12)
	whole, err := os.ReadFile(filepath.Join(dir, journalFile))
	if err != nil {
		t.Fatal(err)
	}
	var cuts []int64
	for size := range after {
		cuts = append(cuts, size, size-1, size+1, size-100)
	}
	for n := int64(0); n < int64(len(whole)); n += int64(len(whole)/150 + 1) {
		cuts = append(cuts, n)
	}
	for _, n := range cuts {
		if n < 0 || n > int64(len(whole)) {
			continue
		}
		var good int64
		for size := range after {
			if size <= n {
				good = max(good, size)
			}
		}
		torn := t.TempDir()
		path := filepath.Join(torn, journalFile)
		if err := os.WriteFile(path, append(slices.Clone(whole[:n]), "\x00\x00\x00"...), 0o600); err != nil {
			t.Fatal(err)
		}
		j, r, found, err := openJournal(torn)
		if err != nil {
			t.Fatalf("cut at %d: %v", n, err)
		}
		if got := content(r.list); !reflect.DeepEqual(got, after[good]) {
			t.Errorf("cut at %d: %d resources, want those at %d", n, len(got), good)
		}
		if found == "" {
			t.Errorf("cut at %d: nothing was said", n)
		}
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
		j, again, found, err := openJournal(torn)
		if err != nil || found != "" || !reflect.DeepEqual(content(again.list), content(r.list)) {
			t.Errorf("cut at %d: opened again: %q, %v", n, found, err)
		}
		_ = j.close()
	}
}

// TestRottenJournal changes single bytes: what is read is always the content after some transaction.
func TestRottenJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	after := record(t, dir, 6)
	whole, err := os.ReadFile(filepath.Join(dir, journalFile))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(whole); n += len(whole)/200 + 1 {
		rotten := slices.Clone(whole)
		rotten[n] ^= 1
		r := &replica{}
		good, _ := r.read(bufio.NewReader(bytes.NewReader(rotten)))
		if got := content(r.list); !reflect.DeepEqual(got, after[good]) {
			t.Errorf("byte %d changed: %d resources that never were", n, len(got))
		}
	}
}

// TestJournalGrowsLittle writes one small change after another to a large content.
func TestJournalGrowsLittle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, r, _, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.close() }()
	apply := func(tr *transaction, rev int64) {
		t.Helper()
		hash := r.sum(tr)
		lines := tr.lines(nil, rev, hash)
		if err := r.apply(tr, "e1", rev, hash); err != nil {
			t.Fatal(err)
		}
		if rev == 1 {
			err = j.rewrite(r)
		} else {
			err = j.append(lines)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	list := many(20000)
	first := &transaction{reset: true, writes: map[string][]byte{}}
	for _, l := range list {
		first.writes[l.ID] = l.Body
	}
	apply(first, 1)
	base := j.size
	for rev := int64(2); rev < 102; rev++ {
		apply(&transaction{writes: map[string][]byte{list[rev].ID: []byte("1")}}, rev)
	}
	if grown := j.size - base; grown > 100*300 {
		t.Errorf("100 small changes took %d bytes", grown)
	}
	j.size += base + journalSlack + 1
	if !j.bloated() {
		t.Error("a journal twice its content is not bloated")
	}
}

// TestFullDisk refuses what can't be kept and goes on from there.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 1, many(2), "lb1")
	a := w.agent(dir)
	want := a.at(1)
	a.stop()
	c, err := Open(w.options(dir))
	if err != nil {
		t.Fatal(err)
	}
	good := c.journal.f
	if c.journal.f, err = os.Open(c.journal.path); err != nil { // a file that can't be written
		t.Fatal(err)
	}
	tr := &transaction{writes: map[string][]byte{"map/x": []byte("1")}}
	if err := c.commit(tr, "e1", 2, c.replica.sum(tr), false); err == nil {
		t.Error("a change was taken that is not on disk")
	}
	if s, _ := c.State(); s.Revision != 1 || s.Hash != want.Hash {
		t.Errorf("the state went to revision %d", s.Revision)
	}
	_ = c.journal.f.Close()
	c.journal.f = good
	w.set("edge", 2, many(3), "lb1")
	run(t, c).at(2)
}

func FuzzMessage(f *testing.F) {
	sealed, err := appendSecret(nil, "www", weir.SealedRef{Generation: 2, Fingerprint: "f"}, secrets.Secret{})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{
		appendStart(nil, "e1", true),
		appendPut(nil, []ir.Resource{res("map/x", map[string]any{"a": []int{1}}), cert("www", 1)}),
		appendDelete(nil, []string{"map/x", "self"}),
		appendCommit(nil, 5, Hash{1, 2}),
		sealed,
		[]byte(`{"put":[{"id":"map/x","body":1}],"delete":["map/x"]}`),
		[]byte(`{"put":[{"id":"map/x"}]}`),
		[]byte(`{"rev":5}`),
		[]byte(`{"secrets":[{"id":"certificate/../x"}]}`),
		[]byte(`{} {}`),
		[]byte(`{"new":1}`),
	} {
		f.Add(bytes.TrimSpace(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := decodeMessage(line)
		if err != nil {
			return
		}
		// What was read is written as whole lines that mean the same.
		tr := &transaction{}
		tr.add(m)
		again := &transaction{reset: tr.reset}
		in := bufio.NewReader(bytes.NewReader(tr.lines(nil, 1, Hash{})))
		for {
			l, err := readLine(in)
			if err != nil {
				break
			}
			m, err := decodeMessage(l)
			if err != nil {
				t.Fatalf("%q: wrote %q: %v", line, l, err)
			}
			again.add(m)
		}
		if len(tr.writes)+len(again.writes) > 0 && !reflect.DeepEqual(tr.writes, again.writes) {
			t.Fatalf("%q became %q", tr.writes, again.writes)
		}
		r := &replica{}
		hash := r.sum(tr)
		if err := r.apply(tr, "e1", 1, hash); err == nil {
			var sum Hash
			for _, l := range r.list {
				sum = sum.xor(hashResource(l.ID, l.Body))
			}
			if sum != hash {
				t.Fatalf("%q: the sum of what is there is another", line)
			}
		}
	})
}

func TestMessagesShowNoKeys(t *testing.T) {
	t.Parallel()
	line, err := appendSecret(nil, "www", weir.SealedRef{}, secrets.NewSecret([]byte("KEY-CANARY")))
	if err != nil {
		t.Fatal(err)
	}
	m, err := decodeMessage(bytes.TrimSpace(line))
	if err != nil || string(m.Secrets[0].Data) != "KEY-CANARY" {
		t.Fatalf("%v", err)
	}
	for _, shown := range []string{fmt.Sprint(m), fmt.Sprintf("%+v %#v", m, m)} {
		if strings.Contains(shown, "CANARY") || strings.Contains(shown, "75 69 89") {
			t.Errorf("shows %s", shown)
		}
	}
	for _, bad := range []string{`{"secrets":[{"id":"certificate/www","data":"KEY-CANARY`, `{"secrets":[{"id":"KEY-CANARY"}]}`, `{"KEY-CANARY":1}`, `{"secrets":"KEY-CANARY"}`, `{"secrets":[{"data":"KEY-CANARY!"}]}`} {
		if _, err := decodeMessage([]byte(bad)); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
