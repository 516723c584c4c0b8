package link

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// record writes a journal by a walk and gives the content after each whole transaction, by the file's length.
func record(t *testing.T, dir string, count int) map[int64]map[string]string {
	t.Helper()
	j, r, _, err := openJournal(dir, nil)
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
		if rev == 1 || j.bloated(0) {
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
		j, r, found, err := openJournal(torn, nil)
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
		j, again, found, err := openJournal(torn, nil)
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
	j, r, _, err := openJournal(dir, nil)
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
	if !j.bloated(0) {
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
