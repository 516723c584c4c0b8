package api

import (
	"crypto/tls"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"testing"

	"weir/internal/signin"
)

// browser is one that keeps cookies as browsers do, follows nobody by itself, and speaks with the world as it would over TLS.
type browser struct {
	w   *world
	jar http.CookieJar
}

func (w *world) browser() *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w, jar}
}

// visit asks one of our own addresses; headers come in pairs.
func (b *browser) visit(method, path string, headers ...string) answer {
	b.w.t.Helper()
	req := b.w.request("", method, path, "", headers...)
	secure := *req.URL
	secure.Scheme = "https"
	for _, c := range b.jar.Cookies(&secure) {
		req.AddCookie(c)
	}
	client := &http.Client{Transport: b.w.server.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b.jar.SetCookies(&secure, resp.Cookies())
	return answer{Response: resp}
}

// leave begins to sign in, lets the provider do its part, and gives the path and query that it sends the browser back to.
func (b *browser) leave(to string) string {
	b.w.t.Helper()
	a := b.w.want(b.visit("GET", "/signin/corp?to="+url.QueryEscape(to)), 302)
	return b.provider(a.Header.Get("Location"))
}

func (b *browser) provider(address string) string {
	b.w.t.Helper()
	client := &http.Client{Transport: insecure(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(address)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != 302 {
		b.w.t.Fatalf("the provider answers %d: %v", resp.StatusCode, err)
	}
	return back.RequestURI()
}

// signIn does it all, and gives where the browser ends.
func (b *browser) signIn(to string) string {
	b.w.t.Helper()
	return b.w.want(b.visit("GET", b.leave(to)), 302).Header.Get("Location")
}

func (b *browser) me() WhoAmI {
	b.w.t.Helper()
	return read[WhoAmI](b.w.t, b.w.as(b.cookie(), "GET", "/api/v1/whoami", ""))
}

// cookie is the session's, as it is sent; empty without one.
func (b *browser) cookie() string {
	u, err := url.Parse(b.w.server.URL)
	if err != nil {
		b.w.t.Fatal(err)
	}
	u.Scheme = "https"
	for _, c := range b.jar.Cookies(u) {
		if c.Name == signin.Cookie {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}

// begun is what the browser keeps while it is at the provider.
func (b *browser) begun() *http.Cookie {
	u, err := url.Parse(b.w.server.URL)
	if err != nil {
		b.w.t.Fatal(err)
	}
	u.Scheme = "https"
	for _, c := range b.jar.Cookies(u) {
		if c.Name == signin.BegunCookie {
			return c
		}
	}
	b.w.t.Fatal("the browser keeps nothing")
	return nil
}

func (b *browser) keep(c *http.Cookie) {
	u, err := url.Parse(b.w.server.URL)
	if err != nil {
		b.w.t.Fatal(err)
	}
	u.Scheme = "https"
	b.jar.SetCookies(u, []*http.Cookie{{Name: c.Name, Value: c.Value, Path: "/", Secure: true, MaxAge: 3600}})
}

// refused says why somebody is not signed in, as the page /signin is told.
func refused(t *testing.T, at string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil || u.Path != "/signin" || u.Host != "" || !u.Query().Has("problem") {
		t.Fatalf("signed in, and sent to %q", at)
	}
	return u.Query().Get("problem")
}

// insecure is for the part of the browser, which believes the provider's certificate.
func insecure() http.RoundTripper {
	return &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // a test's own server
}
