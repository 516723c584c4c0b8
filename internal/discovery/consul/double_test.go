package consul

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const token = "canary-1b2f"

// double answers blocking queries as HashiCorp documents them, and holds the client to the documents: an index is never
// 0, it is the one of the last answer, and after one that went backwards, or was none, there is none. To ask without is right.
type double struct {
	t      *testing.T
	server *httptest.Server

	mu       sync.Mutex
	services map[string][]instance
	index    map[string]uint64 // by path
	next     map[string]uint64 // what must be asked with, 0 for without
	header   http.Header       // beside the index
	instead  http.HandlerFunc  // of every answer
	asked    []*http.Request
	waiting  int
	waited   int           // how many have waited, ever
	changed  chan struct{} // closed when anything of this changes
	expired  chan struct{} // closed to let all waits end
}

// instance is a service's, in a form that is short to write.
type instance struct {
	node, id string
	tags     []string
	checks   []string // CheckID=status
}

func (i instance) json() map[string]any {
	checks := []map[string]any{}
	for _, c := range i.checks {
		id, status, _ := strings.Cut(c, "=")
		checks = append(checks, map[string]any{"CheckID": id, "Status": status, "Output": "it says much"})
	}
	return map[string]any{
		"Node":    map[string]any{"Node": i.node, "Address": "10.0.0.1", "Datacenter": "dc1", "Meta": map[string]string{"rack": "r1"}},
		"Service": map[string]any{"ID": i.id, "Service": "web", "Port": 8080, "Tags": i.tags},
		"Checks":  checks,
	}
}

func newDouble(t *testing.T) *double {
	t.Helper()
	d := &double{
		t: t, services: map[string][]instance{}, index: map[string]uint64{}, next: map[string]uint64{},
		header: http.Header{"X-Consul-Knownleader": {"true"}, "X-Consul-Lastcontact": {"0"}}, changed: make(chan struct{}), expired: make(chan struct{}),
	}
	d.server = httptest.NewServer(d)
	t.Cleanup(d.server.Close)
	return d
}

func pathOf(service string) string { return "/v1/health/service/" + service }

const catalogue = "/v1/catalog/services"

// change changes the double and lets go of those who wait for more.
func (d *double) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
	close(d.changed)
	d.changed = make(chan struct{})
}

// put sets the instances of a service, at an index of its own.
func (d *double) put(service string, index uint64, is ...instance) {
	d.change(func() {
		d.services[service] = is
		if len(is) == 0 {
			delete(d.services, service)
		}
		d.index[pathOf(service)] = index
		d.index[catalogue] = max(index, d.index[catalogue])
	})
}

// expire ends the waits that are under way, once there are so many.
func (d *double) expire(n int) {
	d.t.Helper()
	eventually(d.t, func() error { return d.hanging(n) })
	d.change(func() {
		close(d.expired)
		d.expired = make(chan struct{})
	})
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, r)
	if d.instead != nil {
		d.next[r.URL.Path] = 0
		d.instead(w, r)
		return
	}
	asked := d.judge(r)
	expired := d.expired
	d.waiting++
	if asked > 0 && d.index[r.URL.Path] <= asked {
		d.waited++
	}
	for asked > 0 && d.index[r.URL.Path] <= asked && expired == d.expired && d.instead == nil {
		changed := d.changed
		d.mu.Unlock()
		select {
		case <-changed:
		case <-r.Context().Done():
		}
		d.mu.Lock()
		if r.Context().Err() != nil {
			d.waiting--
			return
		}
	}
	d.waiting--
	d.answer(w, r.URL.Path, asked)
}

func (d *double) answer(w http.ResponseWriter, path string, asked uint64) {
	got := d.index[path]
	switch next := max(got, 1); {
	case next < asked:
		d.next[path] = 0
	default:
		d.next[path] = next
	}
	for name, values := range d.header {
		w.Header()[name] = values
	}
	w.Header().Set("X-Consul-Index", strconv.FormatUint(got, 10))
	if path == catalogue {
		all := map[string][]string{}
		for name, is := range d.services {
			all[name] = []string{}
			for _, i := range is {
				all[name] = append(all[name], i.tags...)
			}
		}
		_ = json.NewEncoder(w).Encode(all)
		return
	}
	list := []any{}
	for _, i := range d.services[strings.TrimPrefix(path, pathOf(""))] {
		list = append(list, i.json())
	}
	_ = json.NewEncoder(w).Encode(list)
}

// judge gives the index that is asked with.
func (d *double) judge(r *http.Request) uint64 {
	q := r.URL.Query()
	if r.Method != http.MethodGet || r.Header.Get("X-Consul-Token") != token || strings.Contains(r.URL.String(), token) {
		d.t.Errorf("%s %s with the token %q: the token belongs into its header only", r.Method, r.URL, r.Header.Get("X-Consul-Token"))
	}
	index := uint64(0)
	if q.Has("index") {
		var err error
		if index, err = strconv.ParseUint(q.Get("index"), 10, 64); err != nil || index == 0 {
			d.t.Errorf("%s: the index is none to wait with", r.URL)
		}
		if wait, err := time.ParseDuration(q.Get("wait")); err != nil || wait <= 0 || wait > 10*time.Minute {
			d.t.Errorf("%s: the wait is none", r.URL)
		}
	}
	if index != 0 && index != d.next[r.URL.Path] {
		d.t.Errorf("%s: asked with index %d, want %d", r.URL, index, d.next[r.URL.Path])
	}
	return index
}

// requests gives what was asked of a path.
func (d *double) requests(path string) []*http.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.asked), func(r *http.Request) bool { return r.URL.Path != path })
}

// hanging says whether so many questions wait for something new.
func (d *double) hanging(n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting != n {
		return fmt.Errorf("%d questions wait, want %d", d.waiting, n)
	}
	return nil
}
