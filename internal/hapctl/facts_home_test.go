package hapctl

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/weirtest"
)

// Files are found from the folder that default-path names, and known by their names in the text.
func TestFactDefaultPathKeepsNames(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		l := newLab(t, h, "")
		l.file("elsewhere/maps/far.map", "far.example yes\n")
		l.config("global\n  default-path origin " + filepath.Join(l.dir, "elsewhere") + `
frontend far
  mode http
  bind ADDR:8099
  http-request return status 418 if { req.hdr(host),map(opt@maps/far.map) -m str yes }
  http-request return status 404
`)
		l.start()
		if text := l.do("show map"); !strings.Contains(text, "(maps/far.map)") {
			t.Errorf("show map: %q", text)
		}
		l.do("add map maps/far.map more.example yes")
		for host, want := range map[string]int{"far.example": 418, "more.example": 418, "other.example": 404} {
			request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, "http://"+l.addr+":8099/", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = host
			got, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			got.Body.Close()
			if got.StatusCode != want {
				t.Errorf("%s: %d, want %d", host, got.StatusCode, want)
			}
		}
	})
}
