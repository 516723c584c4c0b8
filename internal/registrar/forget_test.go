package registrar

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// gone is the Server of one that is withdrawn or stale since some time ago.
func (w *world) gone(name, state, token string, since time.Duration) *weir.Object {
	return &weir.Object{
		Kind: "Server", Metadata: weir.Metadata{Name: name, Role: "web", ManagedBy: weir.ManagedByRegistration},
		Spec: &weir.Server{Address: home, Zone: "az1", Registration: &weir.Registration{State: state, Since: w.clock().Add(-since), By: weir.ByRegistration + token}},
	}
}

func (w *world) terms(token string, forget *weir.Duration) *weir.Object {
	return &weir.Object{Kind: "Token", Metadata: weir.Metadata{Name: token}, Spec: &weir.Token{
		Subject: "registration", Hash: strings.Repeat("ab", 32), Registration: &weir.RegistrationTerms{Role: "web", Names: []string{"*"}, Forget: forget},
	}}
}

// TestLongGone: by state, token and time.
func TestLongGone(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	w := &world{t: t, now: now}
	view := weir.NewSet(w.terms("hour", new(weir.Duration(time.Hour))), w.terms("never", new(weir.Duration(0))), w.terms("usual", nil))
	for _, tt := range []struct {
		token string
		since time.Duration
		want  bool
	}{
		{"hour", time.Hour, false},
		{"hour", time.Hour + time.Second, true},
		{"never", 1000 * time.Hour, false},
		{"usual", 24 * time.Hour, false},
		{"usual", 25 * time.Hour, true},
		{"deleted", 23 * time.Hour, false},
		{"deleted", 25 * time.Hour, true},
	} {
		o := w.gone("web-1", "stale", tt.token, tt.since)
		if got := longGone(view, o, now); got != tt.want {
			t.Errorf("token %s, after %s: %v", tt.token, tt.since, got)
		}
		for _, writer := range []string{"", weir.ManagedByInventory, "discovery/list"} {
			o.Metadata.ManagedBy = writer
			if longGone(view, o, now) {
				t.Errorf("what %q wrote is forgotten", writer)
			}
		}
	}
}

// TestLongGoneAreForgotten: in one change for those of one time, and nobody that is heard, drains, is needed or is moved.
func TestLongGoneAreForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3*time.Second)
	day := 25 * time.Hour
	w.put(w.terms("quick", new(weir.Duration(time.Minute))), w.terms("never", new(weir.Duration(0))))
	w.put(&weir.Object{Kind: "Pool", Metadata: weir.Metadata{Name: "web", Role: "web"}, Spec: &weir.Pool{Selector: &weir.Selector{Role: "web", Clusters: []string{"front"}}, Port: "80"}})
	list := []*weir.Object{
		w.gone("web-stale-1", "stale", "web", day), w.gone("web-stale-2", "stale", "deleted", day), w.gone("web-withdrawn", "withdrawn", "web", day),
		w.gone("web-quick", "stale", "quick", 2*time.Minute),
		w.gone("web-never", "stale", "never", day), w.gone("web-today", "stale", "web", time.Hour), w.gone("web-by-hand", "withdrawn", "web", day),
		w.gone("web-needed", "stale", "web", day), w.gone("web-draining", "draining", "web", day),
	}
	for _, o := range list {
		if o.Metadata.Name == "web-needed" {
			o.Spec.(*weir.Server).Clusters = []string{"front"}
		}
	}
	w.put(append(list, w.gone("web-heard", "stale", "web", day), w.gone("web-unwell", "withdrawn", "web", day))...)
	w.put(&weir.Object{Kind: "Override", Metadata: weir.Metadata{Name: "by-hand", Role: "web"}, Spec: &weir.Override{Server: "web-by-hand", State: "ready", Reason: "a look", ExpiresAt: w.clock().Add(time.Hour)}})
	revision := w.store.Revision()
	w.tend()
	w.says("web-heard", "healthy", "")
	w.says("web-unwell", "withdrawn", "check app: 500")
	weirtest.Eventually(t, weirtest.Patience, func() error {
		w.says("web-heard", "healthy", "")
		w.says("web-unwell", "withdrawn", "check app: 500")
		for _, name := range []string{"web-stale-1", "web-stale-2", "web-withdrawn", "web-quick"} {
			if got := w.state(name); got != "gone" {
				return fmt.Errorf("%s is %s", name, got)
			}
		}
		return nil
	})
	w.becomes("web-draining", "withdrawn") // for a moment only
	for name, want := range map[string]string{
		"web-never": "stale", "web-today": "stale", "web-by-hand": "withdrawn", "web-needed": "stale", "web-heard": "healthy", "web-unwell": "withdrawn",
	} {
		if got := w.state(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	reasons := map[string]int{}
	for r := revision + 1; r <= w.store.Revision(); r++ {
		e, err := w.store.Change(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(e.Change.Reason, "gone") {
			reasons[e.Change.Reason] += len(e.Change.Objects)
		}
	}
	want := map[string]int{"gone for longer than the 24h that servers of their token are kept": 3, "gone for longer than the 1m that servers of their token are kept": 1}
	if fmt.Sprint(reasons) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", reasons, want)
	}
}
