package api

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/secrets"
	"weir/internal/signin"
)

// TestSignInWhileTheStoreIsAway: who is signed in stays so, nobody else is let in, and whoever tries is told that it is not
// their fault, and pays nothing for it.
func TestSignInWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cookie := w.signIn("owner")
	signOut := func() int {
		text, _ := secrets.NewToken("session")
		return w.do("", "DELETE", "/api/v1/session", "", "Cookie", signin.Cookie+"="+text, "Sec-Fetch-Site", "same-origin").StatusCode
	}
	for range 25 {
		if status := signOut(); status != 204 {
			t.Fatalf("sign out of nobody's session: %d", status)
		}
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	away := func() {
		a := w.exchange(w.tokens["owner"])
		if p := a.problem(t); a.StatusCode != 503 || a.Header.Get("Set-Cookie") != "" || !strings.Contains(p.Detail, "etcd does not answer") {
			t.Errorf("%q %+v", a.Header.Get("Set-Cookie"), p)
		}
	}
	var tries sync.WaitGroup
	for range 20 {
		tries.Go(away)
	}
	tries.Wait()
	away()
	w.want(w.as(cookie, "GET", "/api/v1/whoami", ""), 200)
	if status := signOut(); status != 204 {
		t.Errorf("for somebody who signs out of many sessions that nobody knows, the store is asked: %d", status)
	}
	w.pass(10 * time.Second)
	if status := signOut(); status != 503 {
		t.Errorf("a session of another server's is taken for none: %d", status)
	}
}

// TestMadeUpAnswersAreBounded: whoever begins to sign in and makes up the provider's answers costs the provider and the
// store little.
func TestMadeUpAnswersAreBounded(t *testing.T) {
	t.Parallel()
	w, o := withProvider(t)
	b := w.browser()
	try := func() string {
		a := w.want(b.visit("GET", "/signin/corp"), 302)
		at, err := url.Parse(a.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		answer := url.Values{"state": {at.Query().Get("state")}, "code": {"made-up"}, "iss": {o.Issuer}}
		return w.want(b.visit("GET", "/signin/corp/callback?"+answer.Encode()), 302).Header.Get("Location")
	}
	for range 20 {
		if why := refused(t, try()); !strings.Contains(why, "proves nothing") {
			t.Fatal(why)
		}
	}
	asked := o.Asked("/token")
	if why := refused(t, try()); !strings.Contains(why, "wait ten seconds") || o.Asked("/token") != asked {
		t.Errorf("after twenty made-up answers: %s", why)
	}
	w.pass(10 * time.Second)
	if at := b.signIn("/"); at != "/" {
		t.Error(at)
	}
}
