package signin

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"weir"
)

// FuzzPlace: whatever is asked for, a browser stays at this host, and comes to no place that would send it on.
func FuzzPlace(f *testing.F) {
	for _, s := range []string{"", "/", "/sites?x=1#y", "//evil.example", "/\\evil.example", "https://evil.example", "/%2F/evil.example", "/./signin/corp", "/x/../api/v1/session", "/?to=//x"} {
		f.Add(s)
	}
	base := &url.URL{Scheme: "https", Host: "weir.example.com", Path: "/signin/corp/callback"}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := base.Parse(place(s))
		if err != nil || at.Scheme != base.Scheme || at.Host != base.Host || at.User != nil {
			t.Errorf("%q leads to %v: %v", s, at, err)
			return
		}
		if strings.HasPrefix(at.Path, "/api/") || strings.HasPrefix(at.Path, "/signin/") {
			t.Errorf("%q leads to %v", s, at)
		}
	})
}

// TestSameOriginOverTLS: an Origin counts to the letter of scheme, host and port.
func TestSameOriginOverTLS(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]bool{
		"https://weir.example.com:8443":      true,
		"https://WEIR.example.com:8443":      true,
		"http://weir.example.com:8443":       false,
		"https://weir.example.com":           false,
		"https://weir.example.com:8443.evil": false,
		"https://a@weir.example.com:8443":    false,
		"https://weir.example.com:8443/":     false,
		"null":                               false,
		"%":                                  false,
	} {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/apply", nil)
		r.Host, r.TLS = "weir.example.com:8443", &tls.ConnectionState{}
		r.Header.Set("Origin", origin)
		if err := SameOrigin(r); (err == nil) != want || err != nil && weir.KindOf(err) != weir.Forbidden {
			t.Errorf("%s: %v", origin, err)
		}
	}
}
