package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/secrets"
	"weir/internal/signin"
	"weir/internal/store"
	"weir/internal/weirtest"
)

// newDesk makes one on the world's store that is followed until the test ends, as each server of a store has one.
func (w *world) newDesk() *signin.Desk {
	w.t.Helper()
	desk := signin.New(signin.Options{Store: w.store, Clock: w.clock})
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { desk.Follow(ctx); close(done) }()
	w.t.Cleanup(func() { cancel(); <-done })
	<-desk.Ready()
	return desk
}

// signIn exchanges somebody's token for a session and gives the cookie as it is sent.
func (w *world) signIn(who string, headers ...string) string {
	w.t.Helper()
	a := w.want(w.exchange(w.tokens[who], headers...), 204)
	return strings.SplitN(a.Header.Get("Set-Cookie"), ";", 2)[0]
}

func (w *world) exchange(token string, headers ...string) answer {
	w.t.Helper()
	return w.do("", "POST", "/api/v1/session", fmt.Sprintf(`{"token": %q}`, token), append([]string{"Content-Type", "application/json"}, headers...)...)
}

// as sends a request with a session's cookie, as a browser does from the console's own pages.
func (w *world) as(cookie, method, path, body string, headers ...string) answer {
	w.t.Helper()
	return w.do("", method, path, body, append([]string{"Cookie", cookie, "Sec-Fetch-Site", "same-origin"}, headers...)...)
}

const poolOfSession = "kind: Pool\nmetadata: {name: s, role: web}\nspec: {members: [{name: a, address: 10.0.0.1, port: 80}]}"

func TestASessionsLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.want(w.exchange(w.tokens["owner"]), 204)
	c, err := http.ParseSetCookie(a.Header.Get("Set-Cookie"))
	if err != nil || c.Name != "__Host-weir" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != int(signin.Longest/time.Second) {
		t.Errorf("the cookie is %q: %v", a.Header.Get("Set-Cookie"), err)
	}
	cookie := c.Name + "=" + c.Value
	me := read[WhoAmI](t, w.as(cookie, "GET", "/api/v1/whoami", ""))
	if me.Subject != "owner" || me.Token != "t-owner" || len(me.Grants) != 1 || !me.ExpiresAt.Equal(w.clock().Add(signin.Longest)) {
		t.Errorf("%+v", me)
	}
	s := read[SessionAnswer](t, w.as(cookie, "GET", "/api/v1/session", ""))
	if !s.SignedIn || s.Me == nil || s.Me.Subject != "owner" || !s.ExpiresAt.Equal(me.ExpiresAt) {
		t.Errorf("%+v", s)
	}
	// It has the subject's rights, no more, and writes as the subject.
	w.want(w.as(cookie, "PUT", "/api/v1/pools/s", poolOfSession), 201)
	w.want(w.as(cookie, "PUT", "/api/v1/pools/s", strings.Replace(poolOfSession, "web", "media", 1)), 403)
	changes := read[ChangeList](t, w.do("admin", "GET", "/api/v1/changes?limit=1", ""))
	if by := changes.Items[0]; by.Author != "owner" || by.Credential != "session with token t-owner" {
		t.Errorf("written by %q with %q", by.Author, by.Credential)
	}
	// An Authorization header counts instead.
	w.want(w.do("viewer", "PUT", "/api/v1/pools/s", poolOfSession, "Cookie", cookie, "Sec-Fetch-Site", "same-origin"), 403)
	// What is sealed in no cookie of ours is none.
	for _, bad := range []string{"__Host-weir=nonsense", "__Host-weir=" + w.tokens["admin"], "__Host-weir=", cookie + "; __Host-weir=x"} {
		w.want(w.as(bad, "GET", "/api/v1/whoami", ""), 401)
	}
	// The same text is no token, and a token no session.
	w.want(w.do("Bearer "+c.Value, "GET", "/api/v1/whoami", ""), 401)
	// Signed out is signed out, whoever kept the cookie.
	out := w.want(w.as(cookie, "DELETE", "/api/v1/session", ""), 204)
	if gone, err := http.ParseSetCookie(out.Header.Get("Set-Cookie")); err != nil || gone.MaxAge >= 0 {
		t.Errorf("signed out with %q", out.Header.Get("Set-Cookie"))
	}
	w.want(w.as(cookie, "GET", "/api/v1/whoami", ""), 401)
	if s := read[SessionAnswer](t, w.as(cookie, "GET", "/api/v1/session", "")); s.SignedIn || !strings.Contains(s.Why, "ended") {
		t.Errorf("%+v", s)
	}
	w.want(w.as(cookie, "DELETE", "/api/v1/session", ""), 204)
	// A cookie that somebody planted becomes nobody else's session: who signs in gets another one, and it ends.
	planted := w.signIn("owner")
	fresh, err := http.ParseSetCookie(w.want(w.exchange(w.tokens["viewer"], "Cookie", planted), 204).Header.Get("Set-Cookie"))
	if err != nil || strings.HasSuffix(planted, fresh.Value) {
		t.Errorf("signing in with a cookie that is there gives %v: %v", fresh, err)
	}
	w.want(w.as(planted, "GET", "/api/v1/whoami", ""), 401)
	if text := w.auditText(); !strings.Contains(text, `"sign in"`) || !strings.Contains(text, `"sign out"`) {
		t.Errorf("the audit file lacks something: %s", text)
	}
	for _, secret := range []string{c.Value, strings.Split(c.Value, "_")[2], w.tokens["owner"]} {
		if strings.Contains(w.everything()+w.log.String()+w.auditText(), secret) {
			t.Error("the cookie or the token is kept or told somewhere")
		}
	}
	if hash, _ := secrets.HashToken(c.Value); strings.Contains(w.everything()+w.log.String()+w.auditText(), hash) {
		t.Error("the session is in the history, a log or the audit file")
	}
}

func TestASessionEndsWithWhatItRestsOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	why := func(cookie, text string) {
		t.Helper()
		if p := w.as(cookie, "GET", "/api/v1/pools", "").problem(t); !strings.Contains(p.Detail, text) {
			t.Errorf("%d %s, want %q", p.Status, p.Detail, text)
		}
	}
	until := w.clock().Add(time.Hour)
	made := read[tokenText](t, w.do("admin", "POST", "/api/v1/tokens", "kind: Token\nmetadata: {name: hour}\nspec: {subject: owner, expiresAt: "+until.Format(time.RFC3339)+"}"))
	w.tokens["hour"] = made.Token
	hour, other, own := w.signIn("hour"), w.signIn("other"), w.signIn("owner")
	if me := read[WhoAmI](t, w.as(hour, "GET", "/api/v1/whoami", "")); !me.ExpiresAt.Equal(until) {
		t.Errorf("it ends at %s and its token at %s", me.ExpiresAt, until)
	}
	// A token that is made anew under the name does not bring it back.
	w.want(w.do("admin", "DELETE", "/api/v1/tokens/t-other", ""), 200)
	why(other, "revoked")
	read[tokenText](t, w.do("admin", "POST", "/api/v1/tokens", "kind: Token\nmetadata: {name: t-other}\nspec: {subject: other}"))
	why(other, "revoked")
	w.pass(time.Hour)
	why(hour, "ended")
	// Without a Grant there is no access, and no session to begin with.
	w.want(w.do("admin", "DELETE", "/api/v1/grants/g-owner", ""), 200)
	if a := w.want(w.as(own, "GET", "/api/v1/pools", ""), 403); !strings.Contains(a.problem(t).Detail, "nothing is granted to owner") {
		t.Errorf("%s", a.body)
	}
	if s := read[SessionAnswer](t, w.as(own, "GET", "/api/v1/session", "")); s.SignedIn || !strings.Contains(s.Why, "Grant") {
		t.Errorf("%+v", s)
	}
	if a := w.want(w.exchange(w.tokens["nobody"]), 403); a.Header.Get("Set-Cookie") != "" || !strings.Contains(a.problem(t).Detail, "nobody") {
		t.Errorf("%s", a.body)
	}
	// Whoever tends the sessions lets what has lost its ground go for good.
	if w.desk.Sessions() == 0 {
		t.Fatal("they are gone before anybody tends them")
	}
	ctx, cancel := context.WithCancel(t.Context())
	tended := make(chan struct{})
	go func() { _ = w.desk.Tend(ctx); close(tended) }()
	defer func() { cancel(); <-tended }()
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if n := w.desk.Sessions(); n > 0 {
			return fmt.Errorf("%d sessions", n)
		}
		return nil
	})
	w.want(w.do("admin", "PUT", "/api/v1/grants/g-owner", "kind: Grant\nmetadata: {name: g-owner}\nspec: {subject: owner, role: web, right: owner}"), 201)
	why(own, "ended")
	fresh := w.signIn("owner")
	w.want(w.do("admin", "DELETE", "/api/v1/tokens/t-owner", ""), 200)
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if n := w.desk.Sessions(); n > 0 {
			return fmt.Errorf("%d sessions", n)
		}
		return nil
	})
	why(fresh, "ended")
}

// TestASessionEndsAmongStreams: what ends a session ends its streams, at whichever server.
func TestASessionEndsAmongStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ends := func(name string, end func(cookie string), status int) {
		t.Helper()
		cookie := w.signIn("owner")
		s := w.stream(t, "", "/api/v1/pools?watch=true", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
		s.any()
		end(cookie)
		if l := s.next(); l.Type != "error" || l.Problem == nil || l.Problem.Status != status {
			t.Errorf("%s: the stream goes on: %v", name, l)
		}
		if s.lines.Scan() {
			t.Errorf("%s: something follows the end", name)
		}
	}
	elsewhere := w.newDesk()
	ends("signed out at another server", func(cookie string) {
		id, err := signin.Held(w.request("", "GET", "/", "", "Cookie", cookie))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := elsewhere.Find(t.Context(), id, true); err != nil {
			t.Fatalf("the other server does not take the session: %v", err)
		}
		if err := elsewhere.Close(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}, 401)
	ends("time", func(string) { w.pass(signin.Longest) }, 401)
	ends("the Grant is gone", func(string) { w.want(w.do("admin", "DELETE", "/api/v1/grants/g-owner", ""), 200) }, 403)
	w.want(w.do("admin", "PUT", "/api/v1/grants/g-owner", "kind: Grant\nmetadata: {name: g-owner}\nspec: {subject: owner, role: web, right: owner}"), 201)
	ends("the token is gone", func(string) { w.want(w.do("admin", "DELETE", "/api/v1/tokens/t-owner", ""), 200) }, 401)
}

// TestSessionsTakeNoWordsFromElsewhere: with the cookie alone nothing happens that pages of others ask for.
func TestSessionsTakeNoWordsFromElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cookie := w.signIn("owner")
	at, err := url.Parse(w.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method string
		from   []string
		taken  bool
	}{
		{"GET", nil, true},
		{"GET", []string{"Sec-Fetch-Site", "same-origin"}, true},
		{"GET", []string{"Sec-Fetch-Site", "none"}, true},
		{"GET", []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"GET", []string{"Sec-Fetch-Site", "same-site"}, false},
		{"GET", []string{"Origin", "https://evil.example"}, false},
		{"PUT", nil, false},
		{"PUT", []string{"Sec-Fetch-Site", "same-origin"}, true},
		{"PUT", []string{"Sec-Fetch-Site", "none"}, false},
		{"PUT", []string{"Sec-Fetch-Site", "same-site"}, false},
		{"PUT", []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://" + at.Host}, false},
		{"PUT", []string{"Origin", "http://" + at.Host}, true},
		{"PUT", []string{"Origin", "https://" + at.Host}, false},
		{"PUT", []string{"Origin", "http://" + at.Host + ".evil.example"}, false},
		{"PUT", []string{"Origin", "null"}, false},
		{"PUT", []string{"Origin", "http://" + at.Hostname()}, false},
		{"DELETE", nil, false},
		{"DELETE", []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"POST", []string{"Sec-Fetch-Site", "cross-site"}, false},
	} {
		path, body := "/api/v1/pools/s", poolOfSession
		switch c.method {
		case "DELETE":
			body = ""
		case "POST":
			path = "/api/v1/apply"
		case "GET":
			path, body = "/api/v1/pools", ""
		}
		a := w.do("", c.method, path, body, append(slices.Clone(c.from), "Cookie", cookie)...)
		if taken := a.StatusCode < 300; taken != c.taken || !taken && a.StatusCode != 403 {
			t.Errorf("%s from %v: %d, taken is to be %t: %s", c.method, c.from, a.StatusCode, c.taken, a.body)
		}
	}
	// Streams are no way around it, and nobody is signed in or out from elsewhere.
	w.want(w.do("", "GET", "/api/v1/pools?watch=true", "", "Cookie", cookie, "Sec-Fetch-Site", "cross-site"), 403)
	w.want(w.do("", "DELETE", "/api/v1/session", "", "Cookie", cookie, "Sec-Fetch-Site", "cross-site"), 403)
	w.want(w.do("", "DELETE", "/api/v1/session", "", "Cookie", cookie), 403)
	w.want(w.exchange(w.tokens["owner"], "Sec-Fetch-Site", "cross-site"), 403)
	w.want(w.exchange(w.tokens["owner"], "Origin", "https://evil.example"), 403)
	w.want(w.as(cookie, "GET", "/api/v1/whoami", ""), 200)
	// A token needs no such word: programs bring it themselves.
	w.want(w.do("owner", "PUT", "/api/v1/pools/s", poolOfSession, "Sec-Fetch-Site", "cross-site"), 200)
}

func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.signIn("owner")
	w.pass(time.Second)
	second := w.signIn("owner")
	for range 31 {
		w.pass(time.Second)
		w.signIn("owner")
	}
	w.want(w.as(first, "GET", "/api/v1/whoami", ""), 401)
	w.want(w.as(second, "GET", "/api/v1/whoami", ""), 200)
	if n := w.desk.Sessions(); n != 32 {
		t.Errorf("%d sessions of one subject", n)
	}
	// Who signs in again leaves no other session behind.
	again := w.signIn("owner", "Cookie", second)
	w.want(w.as(second, "GET", "/api/v1/whoami", ""), 401)
	w.want(w.as(again, "GET", "/api/v1/whoami", ""), 200)
	// Guesses are bounded, and told.
	last := 0
	for range 21 {
		guess, _ := secrets.NewToken("api")
		last = w.exchange(guess).StatusCode
	}
	if last != 429 {
		t.Errorf("after twenty guesses the answer is %d", last)
	}
	w.want(w.exchange(w.tokens["owner"]), 429)
	w.pass(10 * time.Second)
	w.want(w.exchange(w.tokens["owner"]), 204)
	if !strings.Contains(w.auditText(), `"what":"POST /api/v1/session"`) {
		t.Errorf("refusals are not in the audit file: %s", w.auditText())
	}
	for _, body := range []string{"", "{}", `{"token": 5}`, `{"token": "a", "x": 1}`, `[]`, `{"token": "` + strings.Repeat("a", 5<<10) + `"}`} {
		w.pass(time.Minute)
		if a := w.do("", "POST", "/api/v1/session", body, "Content-Type", "application/json"); a.StatusCode < 400 || a.StatusCode >= 500 {
			t.Errorf("%.30q: %d", body, a.StatusCode)
		}
	}
	// A join token lets no person in.
	text, hash := secrets.NewToken("api")
	join := &weir.Token{Subject: "owner", Hash: hash, Join: &weir.JoinTerms{Group: "edge", Zone: "az1"}}
	put := weir.Write{Put: &weir.Object{Kind: "Token", Metadata: weir.Metadata{Name: "j"}, Spec: join}}
	if _, err := w.store.Apply(t.Context(), store.Request{Author: "test", Writes: []weir.Write{put}}); err != nil {
		t.Fatal(err)
	}
	w.want(w.exchange(text), 401)
}
