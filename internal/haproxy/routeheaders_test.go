package haproxy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"weir"
	"weir/internal/ir"
	"weir/internal/weirtest"
)

func TestRoutesChangeHeaders(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		long := strings.Repeat("a long value; ", 70) + "end"
		awkward := `%[src] "quoted" 'and' \back\ #no; {comment} $HOME %%`
		p := startProxy(t, h, func(n *ir.Node) {
			withRoutes(
				weir.SiteRoute{Match: prefix("/h"), Action: &weir.RouteAction{
					Backend:         "api",
					Rewrite:         &weir.Rewrite{Prefix: "/"},
					RequestHeaders:  &weir.HeaderChanges{Set: map[string]string{"X-Set": awkward, "X-Long": long}, Add: map[string]string{"X-Add": "two"}, Remove: []string{"X-Gone"}},
					ResponseHeaders: &weir.HeaderChanges{Set: map[string]string{"X-Origin": "hidden", "X-Long": long}, Add: map[string]string{"Vary": awkward}, Remove: []string{"Date"}},
				}},
				weir.SiteRoute{Match: prefix("/p"), Action: &weir.RouteAction{Page: &weir.PageAnswer{Name: "sorry", Status: 410}}},
				weir.SiteRoute{Match: prefix("/none"), Action: &weir.RouteAction{Page: &weir.PageAnswer{Name: "missing"}}},
			)(n)
		})
		ask := func(path string) (int, string) {
			status, _, all := p.get(t, 17, "GET "+path+" HTTP/1.1\r\nHost: rich.example\r\nX-Gone: x\r\nx-gone: y\r\nX-Set: theirs\r\nX-Add: one\r\nConnection: close\r\n\r\n")
			return status, all
		}
		weirtest.Eventually(t, weirtest.Patience, func() error { // the api answers its checks
			if status, all := ask("/h/x"); status != 200 {
				return errors.New(all)
			}
			return nil
		})
		_, all := ask("/h/x")
		seen := p.origins[33].Requests("/x")
		header := seen[len(seen)-1].Header
		if !slices.Equal(header["X-Set"], []string{awkward}) || !slices.Equal(header["X-Long"], []string{long}) || !slices.Equal(header["X-Add"], []string{"one", "two"}) || header["X-Gone"] != nil {
			t.Errorf("the server saw %q", header)
		}
		head := strings.ToLower(all)
		for text, want := range map[string]int{"\nx-origin: hidden\r\n": 1, "x-origin: api": 0, "\nx-long: " + long + "\r\n": 1, strings.ToLower("\nvary: " + awkward + "\r\n"): 1, "\ndate:": 0} {
			if strings.Count(head, text) != want {
				t.Errorf("%.40q %d times, want %d, in\n%s", text, strings.Count(head, text), want, head)
			}
		}
		if _, all := ask("/other"); strings.Contains(strings.ToLower(all), "x-long") || !strings.Contains(strings.ToLower(all), "\ndate:") {
			t.Errorf("another route's answer: %s", all)
		}
		if status, all := ask("/p/x"); status != 410 || !strings.Contains(all, `{"sorry":"503"}`) || !strings.Contains(all, "application/json") {
			t.Errorf("a page: %d %s", status, all)
		}
		if status, _ := ask("/none"); status != 503 {
			t.Errorf("a page that is not there: %d", status)
		}
	})
}
