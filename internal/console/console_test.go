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
		if got := takes(httptest.NewRequest(c.method, c.path, nil)); got != c.want {
			t.Errorf("%s %s: %v", c.method, c.path, got)
		}
	}
}

// Whatever is asked, and whatever is the answer: nobody may frame it, guess its type, keep it or read it from elsewhere.
func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	api := http.NewServeMux()
	api.HandleFunc("GET /api/v1/sites", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })
	api.Handle("GET /signin/corp", http.RedirectHandler("https://login.example.com/", http.StatusFound))
	h := Front(api)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 0},
		{"HEAD", "/sites/www", 0},
		{"GET", "/assets/gone.js", 404},
		{"GET", "/api/v1/sites", 200},
		{"GET", "/api/v1/nothing", 404},
		{"POST", "/sites", 404},
		{"POST", "/api/v1/sites", 405},
		{"GET", "/signin/corp", 302},
	} {
		w := ask(h, c.method, c.path)
		if c.status != 0 && w.Code != c.status {
			t.Errorf("%s %s: %d", c.method, c.path, w.Code)
		}
		head := w.Header()
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			"Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
		} {
			if got := head.Get(name); got != want {
				t.Errorf("%s %s: %s is %q, want %q", c.method, c.path, name, got, want)
			}
		}
		policy := head.Get("Content-Security-Policy")
		if page := strings.Contains(policy, "script-src 'self'"); !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "frame-ancestors 'none'") || page && (c.status != 0 || strings.Contains(policy, "unsafe")) {
			t.Errorf("%s %s: the policy is %q", c.method, c.path, policy)
		}
	}
	// Files alone are kept, since their names change with what is in them.
	r := httptest.NewRecorder()
	guard(r.Header())
	handlerOf(someFiles).ServeHTTP(r, httptest.NewRequest("GET", "/assets/a-1234.js", nil))
	if head := r.Header(); !strings.Contains(head.Get("Cache-Control"), "immutable") || head.Get("Cross-Origin-Resource-Policy") != "same-origin" {
		t.Errorf("a file: %v", head)
	}
}
