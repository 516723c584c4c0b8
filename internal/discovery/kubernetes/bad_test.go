package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/discovery"
	"weir/internal/weirtest"
)

func TestWhatIsMissingIsSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config Config
		verbs  map[string]bool
		want   []string
	}{
		"may not list a namespace": {Config{Namespace: "shop", Service: "web"}, map[string]bool{}, []string{
			`list endpoint slices of service web in namespace shop at http://kube.test: 403 Forbidden`,
			`cannot list resource`, `system:serviceaccount:weir:weir`,
			`bind the user to a Role with the rule {apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"]} by a RoleBinding in namespace shop`,
		}},
		"may not list all": {Config{}, map[string]bool{}, []string{"in all namespaces", "ClusterRole with", "ClusterRoleBinding"}},
		"may not watch": {Config{Selector: "team=web"}, map[string]bool{"list": true}, []string{
			"watch endpoint slices with labels team=web in all namespaces", "403 Forbidden", "cannot watch", "ClusterRole",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			watched(t, c.config, func(d *double) { d.Verbs = c.verbs }, func(b *bed) {
				err := b.failed()
				for _, want := range c.want {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Errorf("%v\nlacks %s", err, want)
					}
				}
				b.pass(10 * time.Minute)
				if n := len(b.Requests()); n > 120 {
					t.Errorf("asked %d times in ten minutes", n)
				}
				b.setVerbs("list", "watch")
				b.Put(one("a", "web", "web-1"))
				b.pass(2 * mostPause)
				b.sees("shop/web: web-1=ready")
			})
		})
	}
}

// TestListsWithoutWatching is of a user who may list only: it sees all, late.
func TestListsWithoutWatching(t *testing.T) {
	t.Parallel()
	watched(t, Config{}, func(d *double) {
		d.Verbs = map[string]bool{"list": true}
		d.Put(one("a", "web", "web-1", "web-2"))
	}, func(b *bed) {
		b.sees("shop/web: web-1=ready web-2=ready")
		b.Put(one("a", "web", "web-2", "web-3"))
		b.pass(4 * mostPause)
		b.sees("shop/web: web-2=ready web-3=ready")
		if told := b.told(); strings.Contains(told, "alive") {
			t.Errorf("told %s", told)
		}
	})
}

func (d *double) setVerbs(verbs ...string) {
	d.Set(func(k *weirtest.Kubernetes) {
		k.Verbs = map[string]bool{}
		for _, v := range verbs {
			k.Verbs[v] = true
		}
	})
}

// answer lets requests of a verb be answered by f, once or for good, as long as f says so.
func (d *double) answer(verb string, f func(w http.ResponseWriter) bool) {
	d.Set(func(k *weirtest.Kubernetes) {
		k.Odd = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Has("watch") != (verb == "watch") {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			return f(w)
		}
	})
}

// TestBadStreams is of watches that say what cannot be: all is listed anew, and then goes on.
func TestBadStreams(t *testing.T) {
	t.Parallel()
	event := func(kind string, s *apiSlice, version int) string {
		b, _ := json.Marshal(map[string]any{"type": kind, "object": weirtest.WatchedSlice(s, version)})
		return string(b) + "\n"
	}
	a, other := one("a", "web", "web-7"), one("z", "web", "web-8")
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":                       {"pong", "invalid character"},
		"another type":                  {`{"type":"PING","object":{}}`, `an event of type "PING"`},
		"no type":                       {`{}`, `an event of type ""`},
		"a list":                        {`[1,2]`, "cannot unmarshal"},
		"another kind":                  {strings.Replace(event("ADDED", other, 900), "EndpointSlice", "Pod", 1), `kind "Pod"`},
		"no object":                     {`{"type":"ADDED"}`, "unexpected end of JSON"},
		"a change of what is not there": {event("MODIFIED", other, 900), "MODIFIED of endpoint slice shop/z"},
		"the end of what is not there":  {event("DELETED", other, 900), "DELETED of endpoint slice shop/z"},
		"what is there comes":           {event("ADDED", a, 900), "ADDED of endpoint slice shop/a"},
		"an older version":              {event("MODIFIED", a, 50), `version "50" after "101"`},
		"the same version":              {event("MODIFIED", a, 101), `version "101" after "101"`},
		"a bookmark from the past":      {event("BOOKMARK", &apiSlice{}, 50), `version "50"`},
		"a bookmark of nothing":         {`{"type":"BOOKMARK","object":{}}`, "without a version"},
		"an error":                      {`{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd is away"}}`, `500 Internal Server Error, "etcd is away"`},
		"an error that is none":         {`{"type":"ERROR","object":"no"}`, "no Status"},
		"a long one":                    {`{"type":"` + strings.Repeat("A", maxEvent+1), "more than is taken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			watched(t, Config{}, func(d *double) {
				d.Put(one("a", "web", "web-1"))
				var spent atomic.Bool
				d.answer("watch", func(w http.ResponseWriter) bool {
					if spent.Swap(true) {
						return false
					}
					_, _ = io.WriteString(w, c.text)
					return true
				})
			}, func(b *bed) {
				if err := b.failed(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "watch endpoint slices") {
					t.Errorf("failed: %v, which lacks %s", err, c.want)
				}
				b.sees("shop/web: web-1=ready")
				b.Put(one("b", "api", "api-1"))
				b.pass(time.Minute)
				b.sees("shop/api: api-1=ready\nshop/web: web-1=ready")
				if lists := strings.Count(strings.Join(b.Requests(), "\n"), "list "); lists != 2 {
					t.Errorf("listed %d times", lists)
				}
			})
		})
	}
}

// TestSilence is of a server that says nothing more: no listing, but another watch.
func TestSilence(t *testing.T) {
	t.Parallel()
	watched(t, Config{}, func(d *double) {
		var spent atomic.Bool
		d.answer("watch", func(w http.ResponseWriter) bool {
			if spent.Swap(true) {
				return false
			}
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-time.After(time.Hour)
			return true
		})
	}, func(b *bed) {
		b.Put(one("a", "web", "web-1"))
		b.pass(silence - time.Second)
		b.sees("")
		b.pass(time.Second)
		b.sees("shop/web: web-1=ready")
		if asked := b.Requests(); len(asked) != 3 || b.failed() != nil {
			t.Errorf("asked %q", asked)
		}
		b.pass(time.Hour)
	})
}

// TestHangs is of a server that nobody gets through to, and of one that takes a request and does not answer.
func TestHangs(t *testing.T) {
	t.Parallel()
	for verb, want := range map[string]string{"list": "not answered in full in time, 1m0s for a page", "watch": "no answer within 30s"} {
		watched(t, Config{}, func(d *double) {
			d.Odd = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Has("watch") == (verb == "watch") {
					<-r.Context().Done()
				}
				return false
			}
		}, func(b *bed) {
			b.pass(pageTimeout + time.Second)
			if err := b.failed(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: failed: %v", verb, err)
			}
			b.pass(10 * time.Minute)
		})
	}
}

// TestClosesAtOnce is of a server, or what stands before it, that ends each watch as it begins.
func TestClosesAtOnce(t *testing.T) {
	t.Parallel()
	watched(t, Config{}, func(d *double) {
		d.answer("watch", func(http.ResponseWriter) bool { return true })
	}, func(b *bed) {
		b.pass(10 * time.Minute)
		if n := len(b.Requests()); n > 60 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		if err := b.failed(); err == nil || !strings.Contains(err.Error(), "the stream ended: EOF") {
			t.Errorf("failed: %v", err)
		}
	})
}

// TestBusyServer is asked again when it said it may.
func TestBusyServer(t *testing.T) {
	t.Parallel()
	watched(t, Config{}, func(d *double) {
		d.Put(one("a", "web", "web-1"))
		var spent atomic.Bool
		d.answer("list", func(w http.ResponseWriter) bool {
			if spent.Swap(true) {
				return false
			}
			w.Header().Set("Retry-After", "7")
			weirtest.RefuseKubernetes(w, http.StatusTooManyRequests, "TooManyRequests", "too many requests, please try again later")
			return true
		})
	}, func(b *bed) {
		b.pass(7*time.Second - 1)
		b.sees("")
		b.pass(1)
		b.sees("shop/web: web-1=ready")
		if err := b.failed(); err == nil || !strings.Contains(err.Error(), "429") {
			t.Errorf("failed: %v", err)
		}
	})
}

// TestTooMuch is of a service beyond the bounds: it stays as it was, and others go on.
func TestTooMuch(t *testing.T) {
	t.Parallel()
	watched(t, Config{}, func(d *double) {
		d.Put(one("a", "web", "web-1"))
		d.Put(one("b", "api", "api-1"))
	}, func(b *bed) {
		big := one("huge", "web")
		for i := range discovery.MaxFound {
			big.Endpoints = append(big.Endpoints, apiEndpoint{Addresses: []string{fmt.Sprintf("10.%d.%d.%d", 128+i>>16, i>>8&255, i&255)}})
		}
		b.Put(big)
		b.Put(one("b", "api", "api-2"))
		b.pass(time.Minute)
		b.sees("shop/api: api-2=ready\nshop/web: web-1=ready")
		if err := b.failed(); !errors.Is(err, discovery.ErrTooMuch) || !strings.Contains(err.Error(), "service shop/web has 100001 endpoints") {
			t.Errorf("failed: %v", err)
		}
		b.Remove(big)
		b.Put(one("a", "web", "web-1", "web-2"))
		b.pass(time.Minute)
		b.sees("shop/api: api-2=ready\nshop/web: web-1=ready web-2=ready")
	})
}
