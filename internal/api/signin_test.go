package api

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"weir/internal/secrets"
	"weir/internal/signin"
	"weir/internal/weirtest"
)

func TestSignInWithAProvider(t *testing.T) {
	t.Parallel()
	w, o := withProvider(t)
	b := w.browser()
	s := read[SessionAnswer](t, w.do("", "GET", "/api/v1/session", ""))
	if len(s.Providers) != 1 || s.Providers[0] != (SignInProvider{"corp", "Example <Corp>", "/signin/corp"}) {
		t.Errorf("the ways to sign in: %+v", s.Providers)
	}
	a := w.want(b.visit("GET", "/signin/corp?to=%2Fsites%3Fq%3Dwww"), 302)
	c, err := http.ParseSetCookie(a.Header.Get("Set-Cookie"))
	if err != nil || c.Name != signin.BegunCookie || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.MaxAge != 600 {
		t.Errorf("what the browser keeps: %q, %v", a.Header.Get("Set-Cookie"), err)
	}
	ask, err := url.Parse(a.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(a.Header.Get("Location"), o.Issuer+"/authorize?") {
		t.Fatalf("sent to %q", a.Header.Get("Location"))
	}
	for _, secret := range []string{ask.Query().Get("state"), ask.Query().Get("nonce")} {
		if len(secret) < 26 || strings.Contains(c.Value, secret) {
			t.Errorf("%q is no secret", secret)
		}
	}
	if q := ask.Query(); q.Get("code_challenge_method") != "S256" || q.Get("scope") != "openid" || q.Get("response_type") != "code" {
		t.Errorf("asked for %v", q)
	}
	back := b.provider(a.Header.Get("Location"))
	a = w.want(b.visit("GET", back), 302)
	if at := a.Header.Get("Location"); at != "/sites?q=www" {
		t.Errorf("came back to %q", at)
	}
	me := b.me()
	if me.Subject != "corp/4711" || me.Provider != "corp" || me.Token != "" || len(me.Grants) != 1 || !me.ExpiresAt.Equal(w.clock().Add(signin.Longest)) {
		t.Errorf("%+v", me)
	}
	w.want(w.as(b.cookie(), "PUT", "/api/v1/pools/s", poolOfSession), 201)
	if changes := read[ChangeList](t, w.do("admin", "GET", "/api/v1/changes?limit=1", "")); changes.Items[0].Author != "corp/4711" {
		t.Errorf("written by %q", changes.Items[0].Author)
	}
	// What was asked once is believed for a while, the keys too.
	other := w.browser()
	o.SignIn(person("0815", "groups", []string{"sre", "Domain Users", "a\nb", ""}))
	other.signIn("/")
	if me := other.me(); me.Subject != "corp/0815" || len(me.Grants) != 1 || me.Grants[0].Role != "media" || strings.Join(me.Groups, ",") != "group:corp/Domain Users,group:corp/sre" {
		t.Errorf("by a group: %+v", me)
	}
	grants := read[ObjectList](t, w.as(other.cookie(), "GET", "/api/v1/grants", ""))
	if len(grants.Items) != 1 || grants.Items[0].Metadata.Name != "corp-sre" {
		t.Errorf("who is in a group sees the Grants %+v", grants.Items)
	}
	if o.Asked("/.well-known/openid-configuration") != 1 || o.Asked("/keys") != 1 || o.Asked("/token") != 2 {
		t.Error("the provider is asked anew each time")
	}
	// The provider's next key is learned when it signs.
	o.Rotate(t)
	if at := w.browser().signIn("/x"); at != "/x" {
		t.Errorf("after another key: %s", at)
	}
	// A session of a provider ends with the group's Grant, and with the provider.
	w.want(w.do("admin", "DELETE", "/api/v1/grants/corp-sre", ""), 200)
	w.want(w.as(other.cookie(), "GET", "/api/v1/pools", ""), 403)
	w.want(w.as(b.cookie(), "GET", "/api/v1/pools", ""), 200)
	stream := w.stream(t, "", "/api/v1/pools?watch=true", "Cookie", b.cookie(), "Sec-Fetch-Site", "same-origin")
	stream.any()
	w.want(w.do("admin", "POST", "/api/v1/apply?delete=IdentityProvider/corp&delete=Grant/corp-owner", ""), 200)
	if l := stream.next(); l.Problem == nil || l.Problem.Status != 401 {
		t.Errorf("the stream goes on without the provider: %v", l)
	}
	if text := w.auditText(); !strings.Contains(text, `"author":"corp/4711"`) || !strings.Contains(text, "IdentityProvider/corp") {
		t.Errorf("the audit file lacks who signed in: %s", text)
	}
	for what, secret := range map[string]string{"the client's secret": o.Secret, "the cookie": strings.TrimPrefix(b.cookie(), signin.Cookie+"="), "the state": ask.Query().Get("state")} {
		if strings.Contains(w.everything()+w.log.String()+w.auditText(), secret) {
			t.Errorf("%s is kept or told somewhere", what)
		}
	}
}

// TestNobodySignsInAsSomebodyElse: what does not prove who it is, to this control plane, now, lets nobody in.
func TestNobodySignsInAsSomebodyElse(t *testing.T) {
	t.Parallel()
	w, o := withProvider(t)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := func(claim string, v any) func(*weirtest.OpenIDToken) {
		return func(t *weirtest.OpenIDToken) { t.Claims[claim] = v }
	}
	for name, tamper := range map[string]func(*weirtest.OpenIDToken){
		"another nonce":      set("nonce", "guessed"),
		"no nonce":           func(t *weirtest.OpenIDToken) { delete(t.Claims, "nonce") },
		"another audience":   set("aud", "other"),
		"no audience":        func(t *weirtest.OpenIDToken) { delete(t.Claims, "aud") },
		"another party":      set("azp", "other"),
		"a party of no text": set("azp", 5),
		"many audiences":     set("aud", []string{"weir", "other"}),
		"another issuer":     set("iss", "https://other.example"),
		"expired":            set("exp", w.clock().Add(-time.Second).Unix()),
		"never expires":      func(t *weirtest.OpenIDToken) { delete(t.Claims, "exp") },
		"not yet":            set("nbf", w.clock().Add(time.Hour).Unix()),
		"nobody":             set("sub", ""),
		"no sub":             func(t *weirtest.OpenIDToken) { delete(t.Claims, "sub") },
		"long":               set("sub", strings.Repeat("a", 256)),
		"line":               set("sub", "4711\n"),
		"blank":              set("sub", " 4711"),
		"look-alike":         set("sub", "４７１１"),
		"groups of no words": set("groups", map[string]any{"sre": true}),
		"alg none":           func(t *weirtest.OpenIDToken) { t.Header["alg"] = "none"; t.Key = nil },
		"no signature":       func(t *weirtest.OpenIDToken) { t.Key = nil },
		"HMAC of the key":    func(t *weirtest.OpenIDToken) { t.Header["alg"] = "HS256" },
		"a stranger's key":   func(t *weirtest.OpenIDToken) { t.Key = stranger },
		"another algorithm":  func(t *weirtest.OpenIDToken) { t.Header["alg"] = "RS384" },
	} {
		o.Tamper(tamper)
		w.pass(10 * time.Second) // tries that fail are bounded
		b := w.browser()
		if why := refused(t, b.signIn("/")); !strings.Contains(why, "proves nothing") || b.cookie() != "" {
			t.Errorf("%s: %q", name, why)
		}
	}
	o.Tamper(nil)
	back := func(change func(q url.Values)) func(b *browser) string {
		return func(b *browser) string {
			u, err := url.Parse(b.leave("/"))
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			change(q)
			return u.Path + "?" + q.Encode()
		}
	}
	for name, c := range map[string]struct {
		back func(b *browser) string
		why  string
	}{
		"another state":    {back(func(q url.Values) { q.Set("state", "x") }), "belongs to another"},
		"no state":         {back(func(q url.Values) { q.Del("state") }), "belongs to another"},
		"two states":       {back(func(q url.Values) { q.Add("state", "x") }), "belongs to another"},
		"another issuer":   {back(func(q url.Values) { q.Set("iss", "https://other.example") }), "another identity provider's"},
		"no issuer":        {back(func(q url.Values) { q.Del("iss") }), "another identity provider's"},
		"another code":     {back(func(q url.Values) { q.Set("code", "x") }), "proves nothing"},
		"no code":          {back(func(q url.Values) { q.Del("code") }), "gave no code"},
		"two codes":        {back(func(q url.Values) { q.Add("code", "x") }), "gave no code"},
		"refused there":    {back(func(q url.Values) { q.Del("code"); q.Set("error", "<b>x"); q.Set("error_description", "evil") }), "the identity provider refuses"},
		"another browser":  {func(*browser) string { return w.browser().leave("/") }, "not begun in this browser"},
		"another provider": {func(b *browser) string { return strings.Replace(b.leave("/"), "/corp/", "/other/", 1) }, "belongs to another"},
	} {
		w.pass(10 * time.Second)
		b := w.browser()
		why := refused(t, w.want(b.visit("GET", c.back(b)), 302).Header.Get("Location"))
		if !strings.Contains(why, c.why) || strings.ContainsAny(why, "<>") || strings.Contains(why, "evil") || b.cookie() != "" {
			t.Errorf("%s: %q", name, why)
		}
	}
	// Whoever keeps the cookie for longer than browsers do is no better off.
	slow := w.browser()
	late, kept := slow.leave("/"), slow.begun()
	w.pass(10 * time.Minute)
	slow.keep(kept)
	if why := refused(t, w.want(slow.visit("GET", late), 302).Header.Get("Location")); !strings.Contains(why, "took too long") {
		t.Error(why)
	}
	// An answer lets in once: neither again in this browser, nor with what somebody has copied of it.
	b := w.browser()
	at := b.leave("/")
	kept = b.begun()
	if to := w.want(b.visit("GET", at), 302).Header.Get("Location"); to != "/" || b.cookie() == "" {
		t.Fatalf("sent to %s", to)
	}
	if why := refused(t, w.want(b.visit("GET", at), 302).Header.Get("Location")); !strings.Contains(why, "not begun in this browser") {
		t.Error(why)
	}
	thief := w.browser()
	thief.keep(kept)
	asked := o.Asked("/token")
	if why := refused(t, w.want(thief.visit("GET", at), 302).Header.Get("Location")); !strings.Contains(why, "used already") || thief.cookie() != "" {
		t.Error(why)
	}
	if o.Asked("/token") != asked {
		t.Error("the provider is asked with a used state")
	}
	// A code that somebody else was given is no good with one's own state: the verifier differs, and so does the nonce.
	victim, attacker := w.browser(), w.browser()
	stolen, err := url.Parse(victim.leave("/"))
	if err != nil {
		t.Fatal(err)
	}
	own, err := url.Parse(attacker.leave("/"))
	if err != nil {
		t.Fatal(err)
	}
	q := own.Query()
	q.Set("code", stolen.Query().Get("code"))
	if why := refused(t, w.want(attacker.visit("GET", own.Path+"?"+q.Encode()), 302).Header.Get("Location")); !strings.Contains(why, "proves nothing") {
		t.Error(why)
	}
	if !strings.Contains(w.auditText(), `"what":"GET /signin/{provider}/callback"`) {
		t.Error("refusals are not in the audit file")
	}
}

func TestWithoutAGrantNobodyIsLetIn(t *testing.T) {
	t.Parallel()
	w, o := withProvider(t)
	// Names that others have, and mail addresses, are nobody's.
	w.want(w.do("admin", "PUT", "/api/v1/grants/mail", "kind: Grant\nmetadata: {name: mail}\nspec: {subject: owner@example.com, role: '*', right: admin}"), 201)
	w.want(w.do("admin", "PUT", "/api/v1/grants/other", "kind: Grant\nmetadata: {name: other}\nspec: {subject: other/999, role: '*', right: admin}"), 201)
	for _, claims := range []map[string]any{person("999"), person("admin"), person("owner@example.com"), person("999", "groups", []string{"SRE", "group:corp/sre", "admin"}), person("999", "groups", nil), person("47110")} {
		o.SignIn(claims)
		b := w.browser()
		why := refused(t, b.signIn("/"))
		if !strings.Contains(why, "nothing is granted to corp/"+claims["sub"].(string)) || !strings.Contains(why, "admin") || b.cookie() != "" {
			t.Errorf("%v: %q", claims, why)
		}
	}
	if w.desk.Sessions() != 0 {
		t.Error("somebody without a Grant has a session")
	}
	o.SignIn(nil)
	if why := refused(t, w.browser().signIn("/")); !strings.Contains(why, "told to say nothing") {
		t.Error(why)
	}
	// One word is a group as well as a list of one.
	o.SignIn(person("999", "groups", "sre"))
	if at := w.browser().signIn("/"); at != "/" {
		t.Error(at)
	}
}

// TestManyGroupsAreBounded: of more groups than are kept, those that count are.
func TestManyGroupsAreBounded(t *testing.T) {
	t.Parallel()
	w, o := withProvider(t)
	var groups []string
	for i := range 3000 {
		groups = append(groups, fmt.Sprint("group-", i))
	}
	o.SignIn(person("1", "groups", append(groups, "sre")))
	b := w.browser()
	if at := b.signIn("/"); at != "/" {
		t.Fatal(refused(t, at))
	}
	if me := b.me(); strings.Join(me.Groups, " ") != "group:corp/sre" || len(me.Grants) != 1 {
		t.Errorf("%+v", me)
	}
	if _, err := secrets.HashToken(strings.TrimPrefix(b.cookie(), signin.Cookie+"=")); err != nil {
		t.Error(err)
	}
}
