package link

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"weir"
	"weir/internal/ir"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// ticketDesk is a Tickets that says what a test wants, and notes what it hears.
type ticketDesk struct {
	mu    sync.Mutex
	says  string
	heard []string
}

// Brief implements Tickets.
func (d *ticketDesk) Brief(name string, cert *x509.Certificate) secrets.Secret {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.says == "" || cert == nil {
		return secrets.Secret{}
	}
	return secrets.NewSecret(fmt.Appendf(nil, `{"for":%q,"seed":%q}`, name, d.says))
}

// Answer implements Tickets.
func (d *ticketDesk) Answer(_ context.Context, name string, text []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard = append(d.heard, name+" "+string(text))
	if strings.Contains(string(text), "late") {
		return weir.Errorf(weir.Conflict, "another one was first")
	}
	return nil
}

func (d *ticketDesk) say(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.says = text
}

func (d *ticketDesk) answers() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.heard, ", ")
}

// TestTicketKeysTravel: an agent is told of ticket keys before it is told of anything else, and of what is new at once;
// none of that is on its disk. What it makes of it is heard as its own, once.
func TestTicketKeysTravel(t *testing.T) {
	t.Parallel()
	desk := &ticketDesk{}
	w := newWorld(t, func(o *HubOptions) { o.Tickets = desk })
	w.set("edge", 1, []*ir.Resource{res("map/x", 1)}, "lb1")
	dir := w.enrol("lb1")
	o := w.options(dir)
	if text, _, err := FetchBrief(t.Context(), o); err != nil || text != nil {
		t.Errorf("before there is anything: %q %v", text, err)
	}
	desk.say("seed-canary-1")
	text, self, err := FetchBrief(t.Context(), o)
	if err != nil || string(text) != `{"for":"lb1","seed":"seed-canary-1"}` || self.Name != "lb1" {
		t.Fatalf("asked for alone: %q %v %v", text, self.Name, err)
	}
	if _, err := self.Trust.Agent(self.Certificate, w.now()); err != nil {
		t.Error(err)
	}
	told := make(chan string, 100)
	o.Tickets = func(brief []byte) { told <- string(brief) }
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	a := run(t, c)
	if first := <-told; !strings.Contains(first, "seed-canary-1") {
		t.Errorf("told %s", first)
	}
	a.at(1)
	w.hub.Rebrief("lb1", "nobody") // which is no news
	desk.say("seed-canary-2")
	w.hub.Rebrief("lb1")
	if next := <-told; !strings.Contains(next, "seed-canary-2") {
		t.Errorf("told %s", next)
	}
	a.Answer([]byte(`{"too":"late"}`))
	a.Answer([]byte(`{"well":"made"}`))
	weirtest.Eventually(t, patience, func() error {
		if got := desk.answers(); !strings.HasSuffix(got, `lb1 {"well":"made"}`) || strings.Count(got, "late") > 1 {
			return fmt.Errorf("heard %s", got)
		}
		return nil
	})
	a.stop()
	for _, path := range files(t, dir) {
		if text, err := os.ReadFile(path); err != nil || bytes.Contains(text, []byte("seed-canary")) {
			t.Errorf("%s holds a seed, or %v", path, err)
		}
	}
}

func files(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			list = append(list, path)
		}
		return err
	})
	if err != nil || len(list) == 0 {
		t.Fatalf("%d files, %v", len(list), err)
	}
	return list
}

// TestTicketKeysAreForMembers: who is no load balancer of a group, or knows nothing of ticket keys, is told nothing.
func TestTicketKeysAreForMembers(t *testing.T) {
	t.Parallel()
	desk := &ticketDesk{says: "seed-canary"}
	w := newWorld(t, func(o *HubOptions) { o.Tickets = desk })
	w.set("edge", 1, nil, "lb1")
	stranger := w.enrol("lb2")
	if text, _, err := FetchBrief(t.Context(), w.options(stranger)); err == nil || text != nil {
		t.Errorf("one that no group lists was told %q", text)
	}
	a := w.agent(w.enrol("lb1")) // with nobody to tell
	if s := a.at(1); len(s.Resources) != 1 {
		t.Errorf("%d resources", len(s.Resources))
	}
}

// TestShownCertificates: a report has the certificate that its agent has shown, whatever it says, and reports that build
// on others keep it.
func TestShownCertificates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set("edge", 1, nil, "lb1")
	a := w.agent(w.enrol("lb1"))
	s := a.at(1)
	for _, message := range []string{"one", "two", "three"} {
		a.Report(Report{State: Converged, Message: message, Epoch: s.Epoch, Revision: 1, Hash: s.Hash, Shown: []byte("forged"), Tickets: &TicketReport{Generation: 3}})
		reported(t, w.hub, "lb1", message)
		got, _ := w.hub.Reports().Get("lb1")
		if !bytes.Equal(got.Shown, a.Self().Certificate.Raw) || got.Tickets == nil || got.Tickets.Generation != 3 {
			t.Errorf("after %s: %d bytes are shown, %+v", message, len(got.Shown), got.Tickets)
		}
	}
}
