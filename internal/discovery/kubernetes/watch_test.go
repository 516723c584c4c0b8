package kubernetes

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestListsThenWatches(t *testing.T) {
	t.Parallel()
	watched(t, Config{PageSize: 2}, func(d *double) {
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			d.Put(one(name, "web", "web-"+name))
		}
		d.Put(one("f", "api", "api-1"))
	}, func(b *bed) {
		b.sees("shop/api: api-1=ready\nshop/web: web-a=ready web-b=ready web-c=ready web-d=ready web-e=ready")
		if told := b.told(); told != "part shop/api, part shop/web, whole, alive" {
			t.Errorf("told %s", told)
		}
		asked := b.Requests()
		if len(asked) != 4 || !strings.HasPrefix(asked[0], "list limit=2") || !strings.Contains(asked[3], "resourceVersion=106") {
			t.Errorf("asked %q", asked)
		}
		b.Put(one("b", "web", "web-b", "web-x=unready"))
		b.sees("shop/api: api-1=ready\nshop/web: web-a=ready web-b=ready web-c=ready web-d=ready web-e=ready web-x=not ready")
		b.Put(one("b", "web", "web-b=terminating", "web-x=unready"))
		b.Put(one("b", "web", "web-b=ending", "web-x"))
		b.sees("shop/api: api-1=ready\nshop/web: web-a=ready web-b=not ready web-c=ready web-d=ready web-e=ready web-x=ready")
		b.told()
		b.Remove(one("f", "api"))
		b.pass(defaultHold)
		b.sees("shop/web: web-a=ready web-b=not ready web-c=ready web-d=ready web-e=ready web-x=ready")
		if told := b.told(); told != "alive, whole" {
			t.Errorf("told %s", told)
		}
		b.Bookmark()
		b.pass(0)
		if told := b.told(); told != "alive" {
			t.Errorf("told %s", told)
		}
		if err := b.failed(); err != nil || len(b.Requests()) != 0 {
			t.Error("asked again", err)
		}
		// A watch that was open for its time goes on from the bookmark, past what it never saw.
		b.Compact()
		b.pass(10 * time.Minute)
		b.Put(one("g", "api", "api-2"))
		b.pass(time.Minute)
		for _, r := range b.Requests() {
			if strings.HasPrefix(r, "list") {
				t.Errorf("asked %s", r)
			}
		}
		if err := b.failed(); err != nil || !strings.Contains(b.see(), "api-2=ready") {
			t.Error("did not go on", err, b.see())
		}
	})
}

// TestGoesOnAfterACut asks for what came after the last event, and for no list.
func TestGoesOnAfterACut(t *testing.T) {
	t.Parallel()
	watched(t, Config{}, func(d *double) { d.Put(one("a", "web", "web-1")) }, func(b *bed) {
		b.Put(one("b", "web", "web-2"))
		b.pass(0)
		b.Requests()
		b.cut(0)
		b.pass(0)
		asked := b.Requests()
		if len(asked) != 1 || !strings.Contains(asked[0], "resourceVersion=102") || b.failed() != nil {
			t.Errorf("asked %q", asked)
		}
		b.pass(steady)
		// In the middle of an event it is as good as nothing of it.
		b.cut(40)
		b.Put(one("c", "web", "web-3"))
		b.pass(time.Second)
		b.sees("shop/web: web-1=ready web-2=ready web-3=ready")
		if asked = b.Requests(); len(asked) != 1 || !strings.Contains(asked[0], "resourceVersion=102") || b.failed() != nil {
			t.Errorf("asked %q", asked)
		}
	})
}

// TestOfAnotherService is of a slice whose label changes.
func TestOfAnotherService(t *testing.T) {
	t.Parallel()
	watched(t, Config{}, func(d *double) {
		d.Put(one("a", "web", "web-1"))
		d.Put(one("b", "web", "web-2"))
	}, func(b *bed) {
		b.Put(one("b", "api", "web-2"))
		b.pass(defaultHold)
		b.sees("shop/api: web-2=ready\nshop/web: web-1=ready")
		b.Put(one("b", "", "web-2"))
		b.pass(defaultHold)
		b.sees("shop/web: web-1=ready")
	})
}

func TestForgottenMoments(t *testing.T) {
	t.Parallel()
	for name, as := range map[string]int{"as an event": 200, "as a status": 410} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			watched(t, Config{}, func(d *double) {
				d.GoneAs = as
				d.Put(one("a", "web", "web-1"))
			}, func(b *bed) {
				b.Requests()
				b.setDown(true)
				b.cut(0)
				b.Put(one("a", "web", "web-2"))
				b.Put(one("b", "api", "api-1"))
				b.Put(one("b", "api", "api-2"))
				b.Compact()
				b.pass(time.Minute)
				b.sees("shop/web: web-1=ready")
				b.failed()
				b.setDown(false)
				b.pass(time.Minute)
				b.sees("shop/api: api-2=ready\nshop/web: web-2=ready")
				if err := b.failed(); err != nil {
					t.Error(err) // it happens in good times
				}
			})
		})
	}
}

func TestForgottenPages(t *testing.T) {
	t.Parallel()
	prepare := func(expires int) func(d *double) {
		return func(d *double) {
			d.Expires = expires
			for _, name := range []string{"a", "b", "c"} {
				d.Put(one(name, "web", "web-"+name))
			}
		}
	}
	watched(t, Config{PageSize: 1}, prepare(1), func(b *bed) {
		b.sees("shop/web: web-a=ready web-b=ready web-c=ready") // at once, from the first page
		if err := b.failed(); err != nil {
			t.Error(err)
		}
	})
	watched(t, Config{PageSize: 1}, prepare(1000), func(b *bed) {
		b.pass(time.Minute)
		b.sees("shop/web: web-a=ready web-b=ready web-c=ready") // without pages
		if err := b.failed(); err == nil || !strings.Contains(err.Error(), "410") {
			t.Errorf("failed: %v", err)
		}
	})
}

// TestPagesOfDifferentMoments is of a server that forgets what it promised of its pages.
func TestPagesOfDifferentMoments(t *testing.T) {
	t.Parallel()
	watched(t, Config{PageSize: 1}, func(d *double) {
		d.Put(one("a", "web", "web-1"))
		d.Put(one("b", "web", "web-2"))
		pages := 0
		d.answer("list", func(w http.ResponseWriter) bool {
			if pages++; pages == 2 {
				_, _ = io.WriteString(w, `{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"103"},"items":[]}`)
			}
			return pages == 2
		})
	}, func(b *bed) {
		b.sees("")
		if err := b.failed(); err == nil || !strings.Contains(err.Error(), `different moments, "102" and "103"`) {
			t.Errorf("failed: %v", err)
		}
		b.pass(time.Minute)
		b.sees("shop/web: web-1=ready web-2=ready")
	})
}

// TestMoves is of endpoints on their way from one slice to another.
func TestMoves(t *testing.T) {
	t.Parallel()
	prepare := func(d *double) {
		d.Put(one("a", "web", "web-1", "web-2"))
		d.Put(one("b", "web", "web-3"))
	}
	all := "shop/web: web-1=ready web-2=ready web-3=ready"
	t.Run("away first", func(t *testing.T) {
		t.Parallel()
		watched(t, Config{}, prepare, func(b *bed) {
			b.told()
			b.Put(one("a", "web", "web-1"))
			b.pass(defaultHold / 2)
			b.sees(all)
			b.Put(one("b", "web", "web-2", "web-3"))
			b.pass(time.Minute)
			b.sees(all)
			if told := b.told(); strings.Contains(told, "part") || strings.Contains(told, "whole") {
				t.Errorf("told %s", told)
			}
		})
	})
	t.Run("there first", func(t *testing.T) {
		t.Parallel()
		watched(t, Config{}, prepare, func(b *bed) {
			b.told()
			b.Put(one("b", "web", "web-2", "web-3"))
			b.sees(all)
			b.Put(one("a", "web", "web-1"))
			b.pass(time.Minute)
			if told := b.told(); strings.Contains(told, "part") || strings.Contains(told, "whole") {
				t.Errorf("told %s", told)
			}
		})
	})
	t.Run("gone for good", func(t *testing.T) {
		t.Parallel()
		watched(t, Config{}, prepare, func(b *bed) {
			b.Put(one("a", "web", "web-1"))
			b.pass(defaultHold)
			b.sees("shop/web: web-1=ready web-3=ready")
		})
	})
	t.Run("the slice is made anew", func(t *testing.T) {
		t.Parallel()
		watched(t, Config{}, prepare, func(b *bed) {
			b.told()
			b.Remove(one("a", "web"))
			b.Remove(one("b", "web"))
			b.pass(defaultHold / 2)
			b.Put(one("c", "web", "web-1", "web-2", "web-3"))
			b.pass(time.Minute)
			b.sees(all)
			if told := b.told(); strings.Contains(told, "part") || strings.Contains(told, "whole") {
				t.Errorf("told %s", told)
			}
		})
	})
	t.Run("cut in the middle", func(t *testing.T) {
		t.Parallel()
		watched(t, Config{}, prepare, func(b *bed) {
			b.told()
			b.Put(one("a", "web", "web-1"))
			b.pass(0)
			b.setDown(true)
			b.cut(0)
			b.Put(one("b", "web", "web-2", "web-3"))
			b.pass(time.Hour)
			b.sees(all)
			b.setDown(false)
			b.pass(time.Minute)
			b.sees(all)
			if told := b.told(); strings.Contains(told, "part") {
				t.Errorf("told %s", told)
			}
		})
	})
	t.Run("listed in the middle", func(t *testing.T) {
		t.Parallel()
		watched(t, Config{}, prepare, func(b *bed) {
			b.told()
			b.setDown(true)
			b.cut(0)
			b.Put(one("a", "web", "web-1"))
			b.Bookmark()
			b.Compact()
			b.pass(time.Minute)
			b.setDown(false)
			for !strings.Contains(b.told(), "whole") {
				b.pass(10 * time.Millisecond)
			}
			b.Put(one("b", "web", "web-2", "web-3"))
			b.pass(time.Minute)
			b.sees(all)
			if told := b.told(); strings.Contains(told, "part") {
				t.Errorf("told %s", told)
			}
		})
	})
}
