package api

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestLongAnswersAreCompressed for who takes that, and only those.
func TestLongAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	get := func(path, accepts string) (*http.Response, string) {
		t.Helper()
		req := w.request("admin", "GET", path, "")
		req.Header.Set("Accept-Encoding", accepts) // so that the client leaves the answer as it is
		resp, err := w.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		var body io.Reader = resp.Body
		if resp.Header.Get("Content-Encoding") == "gzip" {
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(text)
	}
	for _, path := range []string{"/api/v1/grants", "/api/v1/changes", "/api/v1/kinds", "/openapi.json", "/api/v1/rows/pools"} {
		_, plain := get(path, "identity")
		for accepts, squeezed := range map[string]bool{"gzip": true, "br, gzip;q=0.5": true, "gzip;q=0": false, "br": false, "gzip; q=0.000": false} {
			resp, text := get(path, accepts)
			long := len(plain) >= squeezeFrom
			if got := resp.Header.Get("Content-Encoding") == "gzip"; got != (squeezed && long) {
				t.Errorf("%s of %d bytes for %q: compressed is %t", path, len(plain), accepts, got)
			}
			if path != "/api/v1/rows/pools" && text != plain {
				t.Errorf("%s for %q is another answer", path, accepts)
			}
			if squeezed && !strings.Contains(strings.Join(resp.Header.Values("Vary"), ","), "Accept-Encoding") {
				t.Errorf("%s for %q: Vary is %q", path, accepts, resp.Header.Values("Vary"))
			}
		}
	}
	resp, _ := get("/api/v1/sites/none", "gzip")
	if resp.Header.Get("Content-Encoding") != "" || resp.StatusCode != 404 {
		t.Errorf("a refusal: %d %v", resp.StatusCode, resp.Header)
	}
}
