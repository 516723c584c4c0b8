package agent

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/ir"
	"weir/internal/weirtest"
)

func resource(id, body string) *ir.Resource { return &ir.Resource{ID: id, Body: json.RawMessage(body)} }

func opened(t *testing.T, path string) *quarantine {
	t.Helper()
	q, err := openQuarantine(path, "3.4.7", func() time.Time { return time.Unix(1000, 0).UTC() }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// shows gives what stands for a list, as "id=body".
func shows(t *testing.T, q *quarantine, list ...*ir.Resource) string {
	t.Helper()
	out, err := q.effective(list)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, r := range out {
		words = append(words, r.ID+"="+string(r.JSON()))
	}
	return strings.Join(words, " ")
}

func TestQuarantine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(weirtest.TempDir(t), "quarantine.json")
	q := opened(t, path)
	old, bad, other := resource("site/www", `"old"`), resource("site/www", `"bad"`), resource("pool/web", `"fine"`)
	hold := func(good ...*ir.Resource) bool {
		t.Helper()
		held, err := q.hold([]string{"site/www"}, []*ir.Resource{bad, other}, good, "Site/www", "no such thing")
		if err != nil {
			t.Fatal(err)
		}
		return held
	}
	if !hold(old, other) {
		t.Fatal("not held")
	}
	for _, again := range []bool{false, true} {
		if again { // it is known after a restart
			q = opened(t, path)
		}
		if got := shows(t, q, bad, other); got != `site/www="old" pool/web="fine"` {
			t.Errorf("with a good form: %s", got)
		}
		if h := q.held["site/www"]; h.Owner != "Site/www" || h.Reason != "no such thing" || !h.Since.Equal(time.Unix(1000, 0)) {
			t.Errorf("held: %+v", h)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file: %v %v", info, err)
	}

	// What stood in is refused as well: nothing stands in, and more than that can't be held.
	if !hold(old) {
		t.Error("the form that stood in was not held")
	}
	if got := shows(t, q, bad, other); got != `pool/web="fine"` {
		t.Errorf("without a good form: %s", got)
	}
	if hold(old) {
		t.Error("held though nothing is left to hold")
	}

	// Another form is tried, and the old one is not held when it comes back.
	if got := shows(t, q, resource("site/www", `"new"`), other); got != `site/www="new" pool/web="fine"` {
		t.Errorf("another form: %s", got)
	}
	if got := shows(t, opened(t, path), bad, other); got != `site/www="bad" pool/web="fine"` {
		t.Errorf("after another form and a restart: %s", got)
	}

	// One that is gone is forgotten, with its good form.
	hold(old)
	if got := shows(t, q, other); got != `pool/web="fine"` {
		t.Errorf("gone: %s", got)
	}
	if len(q.held) != 0 || len(opened(t, path).held) != 0 {
		t.Errorf("still held: %v", q.held)
	}
}

// What was refused is tried again with another Tuning and with another HAProxy.
func TestQuarantineTriesAgainWhenThingsAroundChange(t *testing.T) {
	t.Parallel()
	path := filepath.Join(weirtest.TempDir(t), "quarantine.json")
	page, small, large := resource("page/long", `"p"`), resource("tuning", `"small"`), resource("tuning", `"large"`)
	hold := func(id string, list ...*ir.Resource) *quarantine {
		t.Helper()
		q := opened(t, path)
		if held, err := q.hold([]string{id}, list, nil, "ErrorPage/long", ""); !held || err != nil {
			t.Fatal(held, err)
		}
		return q
	}
	q := hold("page/long", page, small)
	if got := shows(t, q, page, small); got != `tuning="small"` {
		t.Errorf("as it was: %s", got)
	}
	if got := shows(t, q, page, large); got != `page/long="p" tuning="large"` {
		t.Errorf("another tuning: %s", got)
	}
	q = hold("page/long", page, small)
	q.version = "3.4.8"
	if got := shows(t, q, page, small); got != `page/long="p" tuning="small"` {
		t.Errorf("another HAProxy: %s", got)
	}
	// A Tuning is judged by itself.
	q = hold("tuning", page, small)
	if got := shows(t, q, page, small); got != `page/long="p"` {
		t.Errorf("a held tuning: %s", got)
	}
}

func TestQuarantineHoldsNoLoadBalancer(t *testing.T) {
	t.Parallel()
	q := opened(t, filepath.Join(weirtest.TempDir(t), "quarantine.json"))
	list := []*ir.Resource{resource("self", "1"), resource("group", "2")}
	held, err := q.hold([]string{"self", "group", "site/of-nobody"}, list, nil, "", "")
	if held || err != nil || len(q.held) > 0 {
		t.Errorf("held %v %v: %v", held, err, q.held)
	}
}

func TestQuarantineGoodFormIsAnotherOne(t *testing.T) {
	t.Parallel()
	q := opened(t, filepath.Join(weirtest.TempDir(t), "quarantine.json"))
	same := resource("site/www", `"as it was"`)
	if held, err := q.hold([]string{"site/www"}, []*ir.Resource{same}, []*ir.Resource{same}, "Site/www", ""); !held || err != nil {
		t.Fatal(held, err)
	}
	if got := shows(t, q, same); got != "" {
		t.Errorf("a refused form stands in for itself: %s", got)
	}
}

func TestQuarantineFileThatIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{", "null", "", "[]", "\x00"} {
		path := filepath.Join(weirtest.TempDir(t), "quarantine.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		q, err := openQuarantine(path, "3.4.7", time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if held, err := q.hold([]string{"site/a"}, []*ir.Resource{resource("site/a", "1")}, nil, "Site/a", "why"); !held || err != nil {
			t.Errorf("%q: nothing can be held: %v", text, err)
		}
		if aside, err := os.ReadFile(path + ".broken"); err != nil || string(aside) != text {
			t.Errorf("%q: put aside is %q, %v", text, aside, err)
		}
	}
}

func TestResourcesOf(t *testing.T) {
	t.Parallel()
	list := []*ir.Resource{resource("server/web/a", "1"), resource("server/api/a", "1"), resource("server/web/b", "1"), resource("pool/web", "1")}
	for owner, want := range map[string]string{
		"Server/a": "[server/web/a server/api/a]", "Pool/web": "[pool/web]", "Tuning/fast": "[tuning]", "Site/www": "[site/www]",
		"IPAddress/v": "[address/v]", "AccessList/l": "[list/l]", "Map/m": "[map/m]", "RateLimit/r": "[limit/r]", "Logic/o": "[logic/o]", "ErrorPage/p": "[page/p]",
		"Certificate/c": "[certificate/c]", "LoadBalancerGroup/edge": "[]", "": "[]",
	} {
		if got := fmt.Sprint(resourcesOf(owner, list)); got != want {
			t.Errorf("%s: %s, want %s", owner, got, want)
		}
	}
}
