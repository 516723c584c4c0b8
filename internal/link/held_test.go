package link

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

// restore begins the world's control plane anew, as after a restore: another history, and held.
func (w *world) restore(epoch string) {
	w.t.Helper()
	w.stop()
	w.opts.Epoch, w.opts.Held = epoch, true
	w.start()
}

// tells waits until a hub knows what a load balancer has.
func (w *world) tells(name string) Told {
	w.t.Helper()
	var told Told
	weirtest.Eventually(w.t, patience, func() error {
		if told = w.hub.Told(name); told.Why != "" {
			return fmt.Errorf("%s: %s", name, told.Why)
		}
		return nil
	})
	return told
}

// A held control plane sends nothing: agents stay as they are, in the history that they know, through restarts of
// both, and tell what they have; when it is released they get what is wanted.
func TestHeldHubSendsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dirs := map[string]string{}
	for _, name := range []string{"lb1", "lb2", "lb3", "new", "later"} {
		dirs[name] = w.enrol(name)
	}
	w.set("edge", 20, append(many(200), cert("shop", 3)), "lb1", "lb2", "lb3", "later")
	agents := map[string]*agent{}
	for _, name := range []string{"lb1", "lb2", "lb3", "later"} {
		agents[name] = w.agent(dirs[name])
		agents[name].at(20)
	}
	before := map[string]Hash{}
	for name, a := range agents {
		s, _ := a.State()
		before[name] = s.Hash
	}
	asked := len(w.keys.asked)

	w.restore("e2")
	w.reg.remove("later") // it joined after the backup
	w.set("edge", 7, many(3), "lb1", "lb2", "lb3", "new")
	for _, name := range []string{"lb1", "lb2", "lb3"} {
		told := w.tells(name)
		if told.Epoch != "e1" || told.Revision != 20 || !maps.Equal(content(told.Resources), content(agents[name].states()[0].Resources)) {
			t.Errorf("%s is said to have %+v", name, told.Resume)
		}
	}
	w.hub.mu.Lock()
	if n := len(w.hub.held.contents); n != 1 {
		t.Errorf("what is the same is kept %d times", n)
	}
	w.hub.mu.Unlock()
	if told := w.hub.Told("new"); !strings.Contains(told.Why, "has not come") {
		t.Errorf("of a load balancer without agent: %q", told.Why)
	}
	if r := w.refused(w.conn(dirs["new"]), nil); r.status != http.StatusServiceUnavailable || r.code != codeHeld {
		t.Errorf("an agent that has nothing: %d %s", r.status, r.detail)
	}
	if told := w.hub.Told("new"); !strings.Contains(told.Why, "nothing on disk") {
		t.Errorf("of an agent that has nothing: %q", told.Why)
	}
	weirtest.Eventually(t, patience, func() error {
		if list := w.hub.Strangers(); len(list) != 1 || list[0].Name != "later" {
			return fmt.Errorf("strangers: %+v", list)
		}
		return nil
	})

	// Changes that people make meanwhile are not sent either, and reports come.
	agents["lb1"].Report(Report{Message: "well"})
	reported(t, w.hub, "lb1", "well")
	w.set("edge", 8, many(4), "lb1", "lb2", "lb3", "new")
	agents["lb2"].stop()
	agents["lb2"] = w.agent(dirs["lb2"])
	agents["lb2"].at(20)
	w.stop()
	w.start()
	w.set("edge", 8, many(4), "lb1", "lb2", "lb3", "new")
	for _, name := range []string{"lb1", "lb2", "lb3"} {
		w.tells(name)
		if s, _ := agents[name].State(); s.Epoch != "e1" || s.Hash != before[name] || len(agents[name].states()) != 1 {
			t.Errorf("%s was moved to %s %d", name, s.Epoch, s.Revision)
		}
	}
	if len(w.keys.asked) != asked {
		t.Errorf("keys were asked for: %v", w.keys.asked[asked:])
	}

	w.hub.Release()
	w.hub.Release()
	for _, name := range []string{"lb1", "lb2", "lb3"} {
		if s := agents[name].at(8); s.Epoch != "e2" || len(s.Resources) != 5 {
			t.Errorf("%s: %s with %d resources", name, s.Epoch, len(s.Resources))
		}
	}
	w.agent(dirs["new"]).at(8)
	if s, _ := agents["later"].State(); s.Hash != before["later"] || s.Epoch != "e1" {
		t.Error("the agent that nobody knows was moved")
	}
	if w.hub.Held() || w.hub.Told("lb1").Why == "" {
		t.Error("it is held still")
	}
}

// Load balancers that already have what is wanted need not be asked, and stay as they are when released.
func TestHeldHubKnowsWhatIsWanted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := w.enrol("lb1")
	w.set("edge", 20, many(5), "lb1")
	a := w.agent(dir)
	a.at(20)
	w.restore("e2")
	w.set("edge", 20, many(5), "lb1")
	told := w.tells("lb1")
	if len(told.Resources) != 6 || len(w.hub.held.asked) != 0 {
		t.Errorf("%d resources, asked %v", len(told.Resources), w.hub.held.asked)
	}
	w.hub.Release()
	a.await(func(s State) error {
		if s.Epoch != "e2" {
			return errors.New("still of the old history")
		}
		return nil
	})
	if s, _ := a.State(); s.Hash != told.Hash {
		t.Error("the content changed")
	}
}

// What agents tell is theirs alone, bounded, whole and what they came with; who can't be asked is not.
func TestToldIsChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dirs := []string{w.enrol("lb1"), w.enrol("old"), w.enrol("liar")}
	w.set("edge", 1, many(3), "lb1", "old", "liar")
	w.restore("e2")
	w.set("edge", 1, many(2), "lb1", "old", "liar")
	post := func(dir string, text []byte) *refusal {
		t.Helper()
		body, err := packed(text)
		if err != nil {
			t.Fatal(err)
		}
		err = post(t.Context(), w.conn(dir), w.url+resourcesPath, http.Header{}, body, nil)
		var r *refusal
		if !errors.As(err, &r) {
			return &refusal{status: http.StatusNoContent}
		}
		return r
	}
	has := func(self string, list ...*ir.Resource) ([]byte, Hash) {
		if self != "" {
			list = append(list, res("self", ir.Self{Name: self, Zone: "az1", State: weir.Active}))
		}
		var sum Hash
		for _, r := range list {
			sum = sum.xor(hashResource(r.ID, r.JSON()))
		}
		return appendCommit(appendPut(appendStart(nil, "e1", true), list), 1, sum), sum
	}
	come := func(dir string, sum Hash, tells bool) {
		t.Helper()
		header := http.Header{resumeHeader: {Resume{"e1", 1, sum}.String()}}
		if tells {
			header.Set(tellHeader, "1")
		}
		_, _, rest := w.raw(dir, header)
		if rest == nil {
			t.Fatal("no stream")
		}
	}
	text, sum := has("liar", many(2)...)
	if r := post(dirs[2], text); r.status != http.StatusConflict {
		t.Errorf("who has not come: %d %s", r.status, r.detail)
	}
	other, _ := has("liar", many(5)...)
	alone, aloneSum := has("", many(1)...)
	for what, c := range map[string]struct {
		text   []byte
		sum    Hash
		status int
	}{
		"something else":   {other, sum, http.StatusConflict},
		"half":             {text[:len(text)/2], sum, http.StatusBadRequest},
		"nothing":          {nil, sum, http.StatusBadRequest},
		"a wrong sum":      {bytes.Replace(text, []byte("web-00001"), []byte("web-00009"), 1), sum, http.StatusBadRequest},
		"without its self": {alone, aloneSum, http.StatusBadRequest},
	} {
		come(dirs[2], c.sum, true)
		if r := post(dirs[2], c.text); r.status != c.status {
			t.Errorf("%s: %d %s", what, r.status, r.detail)
		}
		if told := w.hub.Told("liar"); what != "something else" && !strings.Contains(told.Why, "can't be used") && told.Why != "" {
			t.Errorf("%s: %q", what, told.Why)
		}
	}
	var no *refusal
	if _, err := readContent(&io.LimitedReader{R: bytes.NewReader(text), N: int64(len(text))}); !errors.As(err, &no) || no.status != http.StatusRequestEntityTooLarge {
		t.Errorf("too much: %v", err)
	}
	come(dirs[1], aloneSum, false)
	if told := w.hub.Told("old"); !strings.Contains(told.Why, "older version") {
		t.Errorf("an old agent: %q", told.Why)
	}
	w.hub.Release()
	if r := post(dirs[0], text); r.status != http.StatusConflict {
		t.Errorf("when nobody asks: %d %s", r.status, r.detail)
	}
}

// Control planes of one store know what each other's agents have, and who came to the other.
func TestHeldHubsTellEachOther(t *testing.T) {
	t.Parallel()
	one := newWorld(t)
	dirs := []string{one.enrol("lb1"), one.enrol("lb2"), one.enrol("stranger")}
	one.set("edge", 20, many(50), "lb1", "lb2", "stranger")
	for _, dir := range dirs {
		one.agent(dir).at(20)
	}
	one.restore("e2")
	one.reg.remove("stranger")
	two := one.beside()
	for _, w := range []*world{one, two} {
		w.set("edge", 3, many(2), "lb1", "lb2", "lb3")
	}
	want := one.tells("lb1")
	one.tells("lb2")
	weirtest.Eventually(t, patience, func() error {
		if err := two.hub.Gather(t.Context(), one.url, two.shows); err != nil {
			return err
		}
		if len(two.hub.Strangers()) != 1 {
			return errors.New("the stranger is not known there")
		}
		return nil
	})
	for _, name := range []string{"lb1", "lb2"} {
		if told := two.hub.Told(name); told.Why != "" || !maps.Equal(content(told.Resources), content(one.hub.Told(name).Resources)) || told.Common != want.Common {
			t.Errorf("%s there: %q %+v", name, told.Why, told.Resume)
		}
	}
	if told := two.hub.Told("lb3"); told.Why == "" {
		t.Error("lb3 never came")
	}
	for who, dir := range map[string]string{"an agent": dirs[0], "nobody": ""} {
		resp, err := one.conn(dir).RoundTrip(newRequest(t, one.url+heldPath))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s is told: %s", who, resp.Status)
		}
	}
	now := one.now()
	if one.hub.strangers.list(now.Add(time.Hour)) != nil {
		t.Error("strangers are remembered for ever")
	}
}
