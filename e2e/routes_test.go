package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/internal/weirtest"
)

// asWritten asks for a path exactly as it is written, which clients mend on their way.
func (w *world) asWritten(addr, host, path string) (int, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(waitLong))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host); err != nil {
		return 0, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	answer.Body.Close()
	return answer.StatusCode, nil
}

// answers waits until a path is answered with a status.
func (w *world) answers(path string, want int) {
	w.t.Helper()
	weirtest.Eventually(w.t, waitLong, func() error {
		if got, err := w.asWritten(w.at(17).String()+":8080", "www.example.com", path); got != want {
			return fmt.Errorf("%s is answered with %d, not %d: %v", path, got, want, err)
		}
		return nil
	})
}

// routed is the site with a deny of its own on /admin, and with what it delegates to another role.
func (w *world) routed() string {
	return strings.Replace(w.oneZone(), "  backends: {default: web}", `  backends: {default: web, shop: shop}
  delegates: [{role: shop, path: /shop}]
  routes: [{match: {path: {prefix: /admin}}, action: {deny: 403}}, {match: {path: {prefix: /kept}}, backend: shop}]`, 1) + `---
kind: Role
metadata: {name: shop}
---
kind: Pool
metadata: {name: shop, role: web}
spec: {members: [{name: shop1, address: ` + w.at(201).String() + `, port: 9000}], healthCheck: {path: /ping, interval: 100ms, rise: 1}}
`
}

func route(name, match, action string) string {
	return fmt.Sprintf("---\nkind: Route\nmetadata: {name: %s, role: shop}\nspec: {site: www, match: {%s}, action: {%s}}\n", name, match, action)
}

// TestRoutesOfAnotherRole: below what the site delegates they take its traffic, at run time, and nowhere else.
func TestRoutesOfAnotherRole(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.origin(201, "shop1")
		// The pool is in use from the start: HAProxy 3.2 takes a new one by a reload.
		w.apply(w.routed())
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		vip := w.at(17).String() + ":8080"
		from := func(path, want string) {
			t.Helper()
			weirtest.Eventually(t, waitLong, func() error {
				if status, origin, err := w.get(vip, "www.example.com", path); status != 200 || origin != want {
					return fmt.Errorf("%s is served by %q with %d, not by %s: %v", path, origin, status, want, err)
				}
				return nil
			})
		}
		from("/shop/x", "web1")
		reloads := w.reloads()

		w.converged(w.apply(route("cart", "path: {prefix: /shop}", "backend: shop") + route("closed", "path: {exact: /shop/closed}", "deny: 410")))
		from("/shop/x", "shop1")
		from("/shops", "web1")
		w.answers("/shop/closed", 410)
		w.says("routes/cart", "Accepted", "True")
		w.says("routes/cart", "Programmed", "True", "the one load balancer")

		for match, why := range map[string]string{
			"path: {prefix: /shops}":           "which delegates to role shop /shop",
			"path: {prefix: /}":                "which delegates to role shop /shop",
			"path: {prefix: /shop/../admin}":   "which delegates to role shop /shop",
			"path: {regex: '/shop/.*'}":        "must be exact or a prefix",
			"method: GET":                      "must be exact or a prefix",
			"path: {prefix: /shop/}":           "Route/cart matches the same",
			"path: {prefix: /%73hop/%2e%2e/x}": "which delegates to role shop /shop",
		} {
			if code, err := w.call("POST", "/api/v1/apply?reason=test", route("other", match, "backend: shop"), nil); err == nil || code < 400 || code >= 500 || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %d %v, want %q", match, code, err, why)
			}
		}
		for _, path := range []string{
			"/admin", "/admin/", "/admin/x", "//admin", "/./admin", "/x/../admin", "/shop/../admin", "/shop/%2e%2e/admin", "/%61dmin", "/%61%64min/x", "/shop/.%2E/%61dmin", "/shop//..///admin?a=b",
		} {
			w.answers(path, 403)
		}
		for _, path := range []string{"/%6%31dmin", `/shop\..\admin`} {
			w.answers(path, 400)
		}

		for _, name := range []string{"cart", "closed"} {
			if _, err := w.call("DELETE", "/api/v1/routes/"+name, "", nil); err != nil {
				t.Fatal(err)
			}
		}
		from("/shop/x", "web1")
		from("/shop/closed", "web1")
		w.answers("/shop/../admin", 403)
		if got := w.reloads(); got != reloads {
			t.Errorf("routes by path took %d reloads: %+v", got-reloads, w.status())
		}
	})
}

// TestBadRegexOfARoute: what HAProxy would refuse is not taken from another role. Of the site's own role it leaves the
// site as it was, and the Route tells of it.
func TestBadRegexOfARoute(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		w := newWorld(t)
		w.origin(200, "web1")
		w.origin(201, "shop1")
		w.apply(w.routed())
		w.join("lb1", "edge", "az1", h, "")
		w.converged(1)
		vip := w.at(17).String() + ":8080"
		bad := "path: {prefix: /shop}, headers: [{name: x-canary, regex: 'x{3,1}'}]"
		if code, err := w.call("POST", "/api/v1/apply?reason=test", route("cart", bad, "backend: shop"), nil); code != 422 && code != 400 || !strings.Contains(fmt.Sprint(err), "must not take down") {
			t.Errorf("%d %v", code, err)
		}
		own := func(match string) string {
			return strings.Replace(route("cart", match, "backend: shop"), "role: shop", "role: web", 1)
		}
		w.converged(w.apply(own(bad)))
		w.says("routes/cart", "Quarantined", "True", "lb1")
		w.says("routes/cart", "Programmed", "False", "lb1")
		w.serves(vip, "www.example.com", "/shop")
		w.answers("/x/../admin", 403)
		w.converged(w.apply(own(strings.Replace(bad, "{3,1}", "{1,3}", 1))))
		w.says("routes/cart", "Programmed", "True")
	})
}
