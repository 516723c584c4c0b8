package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/signin"
	"weir/internal/weirtest"
)

// people who sign in with the provider corp: claims of their ID tokens.
func person(sub string, more ...any) map[string]any {
	claims := map[string]any{"sub": sub, "email": "owner@example.com", "email_verified": true, "preferred_username": "owner", "name": "admin"}
	for i := 0; i+1 < len(more); i += 2 {
		claims[more[i].(string)] = more[i+1]
	}
	return claims
}

// withProvider makes an identity provider, and the objects by which the world knows it as corp.
func withProvider(t *testing.T) (*world, *weirtest.OpenID) {
	t.Helper()
	w := newWorld(t)
	o := weirtest.NewOpenID(t, w.clock)
	at, err := url.Parse(w.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	o.Register("https://" + at.Host + "/signin/corp/callback")
	w.want(w.do("admin", "POST", "/api/v1/apply", fmt.Sprintf(`
kind: Secret
metadata: {name: corp}
spec: {data: %s}
---
kind: Certificate
metadata: {name: corp}
spec:
  chain: |%s
---
kind: IdentityProvider
metadata: {name: corp}
spec: {title: Example <Corp>, issuer: %s, clientID: weir, secret: corp, authority: corp, groupsClaim: groups}
---
kind: Grant
metadata: {name: corp-owner}
spec: {subject: corp/4711, role: web, right: owner}
---
kind: Grant
metadata: {name: corp-sre}
spec: {subject: "group:corp/sre", role: media, right: operator}
`, o.Secret, indent(o.Authority), o.Issuer)), 200)
	o.SignIn(person("4711"))
	return w, o
}

// TestProvidersAreReachedAsTheyMayBe: by the rules for what the control plane asks, by nobody's redirects, and in bounds.
func TestProvidersAreReachedAsTheyMayBe(t *testing.T) {
	t.Parallel()
	w, o := withProvider(t)
	dialed := 0
	desk := signin.New(signin.Options{Store: w.store, Clock: w.clock, Dial: func(context.Context, string, string) (net.Conn, error) {
		dialed++
		return nil, errors.New("it may not be asked")
	}})
	for range 3 {
		if _, _, err := desk.Begin(t.Context(), "corp", "weir.example.com", "/"); weir.KindOf(err) != weir.Unavailable || !strings.Contains(err.Error(), "may not be asked") {
			t.Error(err)
		}
	}
	if dialed != 1 {
		t.Errorf("one that does not answer is asked %d times at once", dialed)
	}
	for name, describe := range map[string]func(map[string]any){
		"another issuer": func(m map[string]any) { m["issuer"] = "https://other.example" },
		"a plain place":  func(m map[string]any) { m["authorization_endpoint"] = "http://a.example/authorize" },
		"a plain token":  func(m map[string]any) { m["token_endpoint"] = "http://a.example/token" },
		"no keys":        func(m map[string]any) { delete(m, "jwks_uri") },
		"a script":       func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" },
		"too long":       func(m map[string]any) { m["x"] = strings.Repeat("x", 2<<20) },
		"another proof":  func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt"} },
	} {
		o.Describe(describe)
		w.pass(2 * time.Hour)
		if why := refused(t, w.want(w.browser().visit("GET", "/signin/corp"), 302).Header.Get("Location")); !strings.Contains(why, "does not answer as it should") {
			t.Errorf("%s: %s", name, why)
		}
	}
	o.Describe(func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"} })
	w.pass(2 * time.Hour)
	if at := w.browser().signIn("/"); at != "/" {
		t.Errorf("with the secret in the form: %s", at)
	}
	// Nobody leads elsewhere.
	elsewhere := weirtest.NewOpenID(t, w.clock)
	o.Describe(func(m map[string]any) { m["jwks_uri"] = elsewhere.Issuer + "/keys" })
	w.pass(2 * time.Hour)
	if why := refused(t, w.browser().signIn("/")); !strings.Contains(why, "proves nothing") {
		t.Errorf("keys of who is not believed: %s", why)
	}
	o.Describe(nil)
	// The client's secret is asked for each time, as it is then.
	w.want(w.do("admin", "PUT", "/api/v1/secrets/corp", "kind: Secret\nmetadata: {name: corp}\nspec: {data: other}"), 200)
	w.pass(2 * time.Hour)
	if why := refused(t, w.browser().signIn("/")); !strings.Contains(why, "proves nothing") {
		t.Errorf("with another secret: %s", why)
	}
	if !strings.Contains(w.log.String(), "invalid_client") {
		t.Error("the log does not say why")
	}
	// Another issuer under the name takes over nobody.
	w.want(w.do("admin", "PUT", "/api/v1/secrets/corp", "kind: Secret\nmetadata: {name: corp}\nspec: {data: "+o.Secret+"}"), 200)
	b := w.browser()
	b.signIn("/")
	moved := "kind: IdentityProvider\nmetadata: {name: corp}\nspec: {issuer: " + elsewhere.Issuer + ", clientID: weir}"
	if p := w.want(w.do("admin", "PUT", "/api/v1/identityproviders/corp", moved), 400).problem(t); !strings.Contains(fmt.Sprint(p.Errors), "Grant/corp-owner") {
		t.Errorf("%+v", p)
	}
	w.want(w.do("admin", "POST", "/api/v1/apply", moved+"\n---\nkind: Grant\nmetadata: {name: corp-owner}\nspec: {subject: corp/4711, role: web, right: viewer}\n---\nkind: Grant\nmetadata: {name: corp-sre}\nspec: {subject: \"group:corp/sre\", role: media, right: viewer}"), 200)
	w.want(w.as(b.cookie(), "GET", "/api/v1/pools", ""), 401)
}

func TestNobodyIsSentElsewhere(t *testing.T) {
	t.Parallel()
	w, _ := withProvider(t)
	for to, want := range map[string]string{
		"":                              "/",
		"/sites/www?tab=log#x":          "/sites/www?tab=log#x",
		"//evil.example":                "/",
		"///evil.example":               "/",
		"/\\evil.example":               "/",
		"\\/evil.example":               "/",
		"/\t/evil.example":              "/",
		"/\n/evil.example":              "/",
		"https://evil.example":          "/",
		"https:evil.example":            "/",
		"javascript:alert(1)":           "/",
		"evil.example":                  "/",
		"/x\r\nSet-Cookie: a=b":         "/",
		" /x":                           "/",
		"/%zz":                          "/",
		"/api/v1/session":               "/",
		"/signin/corp":                  "/",
		"/" + strings.Repeat("a", 2000): "/",
	} {
		b := w.browser()
		if at := b.signIn(to); at != want {
			t.Errorf("to %q one comes to %q", to, at)
		}
	}
	// A host that is none of ours is not registered at the provider, and one that is no host goes nowhere.
	req := w.request("", "GET", "/signin/corp", "")
	req.Host = "evil.example"
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	resp, err = (&http.Client{Transport: insecure()}).Get(resp.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("the provider takes another redirect URI: %d", resp.StatusCode)
	}
	w.want(w.do("", "GET", "/signin/corp?x=1", ""), 400)
}
