package console

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

var someFiles = fstest.MapFS{
	"index.html":          {Data: []byte(`<meta name="weir-nonce" content="@nonce@">`)},
	"favicon.svg":         {Data: []byte("<svg/>")},
	".keep":               {Data: []byte("hidden")},
	"assets/a-1234.js":    {Data: []byte("plain")},
	"assets/a-1234.js.gz": {Data: []byte("packed")},
}

func ask(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestFilesAreServed(t *testing.T) {
	t.Parallel()
	h := handlerOf(someFiles)
	for _, c := range []struct {
		path, accepts  string
		status         int
		body, encoding string
		media, caching string
	}{
		{"/assets/a-1234.js", "gzip, br", 200, "packed", "gzip", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/assets/a-1234.js", "", 200, "plain", "", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/favicon.svg", "gzip", 200, "<svg/>", "", "image/svg+xml", "no-cache"},
		{"/assets/gone.js", "", 404, "There is no such file; the console was upgraded: load the page again.\n", "", "text/plain; charset=utf-8", ""},
	} {
		w := ask(h, "GET", c.path, "Accept-Encoding", c.accepts)
		head := w.Header()
		if w.Code != c.status || w.Body.String() != c.body || head.Get("Content-Encoding") != c.encoding || head.Get("Content-Type") != c.media || head.Get("Cache-Control") != c.caching {
			t.Errorf("%s: %d %q %v", c.path, w.Code, w.Body, head)
		}
	}
}

// Every address that is no file is a page of the console, also ones that look like ways out of its folder.
func TestThePageIsEverywhereElse(t *testing.T) {
	t.Parallel()
	h := handlerOf(someFiles)
	seen := map[string]bool{}
	for _, path := range []string{"/", "/sites/www", "/index.html", "/.keep", "/sites/a%2F..%2Fb", "/%2e%2e/%2e%2e/etc/passwd", "/assets"} {
		w := ask(h, "GET", path)
		policy := w.Header().Get("Content-Security-Policy")
		_, nonce, _ := strings.Cut(policy, "'nonce-")
		nonce, _, _ = strings.Cut(nonce, "'")
		if w.Code != 200 || len(nonce) < 20 || w.Body.String() != `<meta name="weir-nonce" content="`+nonce+`">` || seen[nonce] {
			t.Errorf("%s: %d %q with %q", path, w.Code, w.Body, policy)
		}
		seen[nonce] = true
		for _, bad := range []string{"unsafe", "*", "http:"} {
			if strings.Contains(policy, bad) {
				t.Errorf("the policy %q allows %q", policy, bad)
			}
		}
		if w.Header().Get("X-Frame-Options") != "DENY" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
}

func TestBuiltWithoutAConsole(t *testing.T) {
	t.Parallel()
	w := ask(handlerOf(fstest.MapFS{".keep": {}}), "GET", "/")
	if w.Code != 404 || !strings.Contains(w.Body.String(), "make build") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestTakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path string
		want         bool
	}{
		{"GET", "/", true},
		{"HEAD", "/sites/www", true},
		{"GET", "/apis", true},
		{"GET", "/signin", true},
		{"GET", "/signin/corp", false},
		{"GET", "/signin/corp/callback", false},
		{"GET", "/api", false},
		{"GET", "/api/v1/nonsense", false},
		{"GET", "/openapi.json", false},
		{"GET", "/healthz", false},
		{"GET", "/readyz", false},
		{"POST", "/sites", false},
		{"DELETE", "/", false},
	} {
		if got := Takes(httptest.NewRequest(c.method, c.path, nil)); got != c.want {
			t.Errorf("%s %s: %v", c.method, c.path, got)
		}
	}
}
