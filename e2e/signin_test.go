package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/link"
	"weir/internal/server"
	"weir/internal/weirtest"
)

// session signs in with the admin's token, and gives what a browser keeps of it.
func (w *world) session() string {
	w.t.Helper()
	answer, err := w.client.Post(w.url+"/api/v1/session", "application/json", strings.NewReader(fmt.Sprintf(`{"token": %q}`, w.token)))
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent || len(answer.Cookies()) != 1 {
		w.t.Fatalf("signing in with a token: %s", answer.Status)
	}
	return answer.Cookies()[0].Value
}

// visitor is a browser that goes to control planes under one name, whichever of them is there.
type visitor struct {
	t       *testing.T
	roots   *tls.Config
	at      string // the listener for people that it comes to now
	cookies map[string]string
}

const consoleHost = "weir.example.com"

func (v *visitor) transport() *http.Transport {
	return &http.Transport{TLSClientConfig: v.roots, ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, v.at)
	}}
}

// visit asks as a browser does from the console's own pages, and goes nowhere by itself; the caller closes the body.
func (v *visitor) visit(method, path, body string) *http.Response {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), method, "https://"+consoleHost+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != "" {
		request.Header.Set("Content-Type", "application/yaml")
	}
	for name, value := range v.cookies {
		request.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	client := &http.Client{Transport: v.transport(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range answer.Cookies() {
		if v.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(v.cookies, c.Name)
		}
	}
	return answer
}

func (v *visitor) status(method, path, body string) int {
	v.t.Helper()
	answer := v.visit(method, path, body)
	_ = answer.Body.Close()
	return answer.StatusCode
}

func (v *visitor) sentTo(path string) string {
	v.t.Helper()
	answer := v.visit("GET", path, "")
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusFound {
		v.t.Fatalf("%s: %s", path, answer.Status)
	}
	return answer.Header.Get("Location")
}

// atProvider lets an identity provider do its part, and gives the path and query that it sends the browser back to.
func (v *visitor) atProvider(address string) string {
	v.t.Helper()
	//nolint:gosec // it is for the browser to believe the provider's certificate, which is another's business
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(address)
	if err != nil {
		v.t.Fatal(err)
	}
	_ = answer.Body.Close()
	back, err := answer.Location()
	if err != nil || back.Host != consoleHost {
		v.t.Fatalf("the provider sends to %v: %v", back, err)
	}
	return back.RequestURI()
}

func (p keyPair) files(t *testing.T, certificate, key string) {
	t.Helper()
	for name, text := range map[string]string{certificate: p.chain, key: p.key} {
		if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
	}
}

// Two control planes on one etcd, with listeners for people: who signs in at one by OpenID Connect is signed in at the
// other, who signs out there has no stream left here, and identity providers of the inside are asked where an admin of
// the machines says so, and nowhere else.
func TestSignInAtTwoControlPlanes(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "people")
	dir := weirtest.TempDir(t)
	certificate, key := filepath.Join(dir, "console.pem"), filepath.Join(dir, "console.key")
	first := ca.sign(ecdsaKey(t), consoleHost)
	first.files(t, certificate, key)
	log := &weirtest.Buffer{}
	one := &world{t: t, dir: weirtest.TempDir(t), prefix: weirtest.Prefix(t), host: 1, agents: map[string]*runningAgent{}, etcd: weirtest.StartEtcd(t, 1)}
	one.log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	one.people = &server.People{Listen: one.at(1).String() + ":8443", Certificate: certificate, Key: key}
	one.startServer()
	two := &world{t: t, dir: one.dir, prefix: one.prefix, host: 2, agents: one.agents, etcd: one.etcd, log: one.log, token: one.token, outside: true}
	two.people = &server.People{Listen: one.at(2).String() + ":8443", Certificate: certificate, Key: key}
	two.startServer()

	provider := weirtest.NewOpenID(t, time.Now)
	provider.Register("https://" + consoleHost + "/signin/corp/callback")
	provider.SignIn(map[string]any{"sub": "4711", "groups": []string{"web"}})
	revision := one.apply(fmt.Sprintf("kind: Role\nmetadata: {name: web}\n---\nkind: Secret\nmetadata: {name: corp}\nspec: {data: %s}\n%s---\n"+
		"kind: IdentityProvider\nmetadata: {name: corp}\nspec: {issuer: %s, clientID: weir, secret: corp, authority: corp, groupsClaim: groups}\n---\n"+
		"kind: Grant\nmetadata: {name: web}\nspec: {subject: \"group:corp/web\", role: web, right: owner}\n",
		provider.Secret, keyPair{chain: provider.Authority}.manifest("corp"), provider.Issuer))

	v := &visitor{t: t, roots: &tls.Config{RootCAs: ca.pool()}, at: two.people.Listen, cookies: map[string]string{}}
	// The second one is not told that it may ask the inside.
	weirtest.Eventually(t, weirtest.Patience, func() error {
		if at := v.sentTo("/signin/corp"); !strings.Contains(at, "does+not+answer") {
			return errors.New(at)
		}
		return nil
	})
	if provider.Asked("/.well-known/openid-configuration") > 0 || !strings.Contains(log.String(), "--discovery-destinations") {
		t.Error("a provider of the inside was asked, or the log does not say why it was not")
	}
	two.stopServer()
	two.outside = false
	two.startServer()

	// Begun at one, finished at the other, good at both at once.
	v.at = one.people.Listen
	back := v.atProvider(v.sentTo("/signin/corp?to=%2Fpools"))
	v.at = two.people.Listen
	if at := v.sentTo(back); at != "/pools" {
		t.Fatalf("sent to %s", at)
	}
	v.at = one.people.Listen
	if status := v.status("GET", "/api/v1/pools", ""); status != http.StatusOK {
		t.Fatalf("the other control plane does not take the session: %d", status)
	}
	if status := v.status("PUT", "/api/v1/pools/p", "{kind: Pool, metadata: {name: p, role: web}, spec: {members: [{name: a, address: 10.0.0.1, port: 80}]}}"); status != http.StatusCreated {
		t.Errorf("a write: %d", status)
	}
	if status := v.status("PUT", "/api/v1/zones/az9", "{kind: Zone, metadata: {name: az9}}"); status != http.StatusForbidden {
		t.Errorf("a write that takes more: %d", status)
	}
	thief := &visitor{t: t, roots: v.roots, at: one.people.Listen, cookies: map[string]string{"__Host-weir": v.cookies["__Host-weir"]}}
	stream := v.visit("GET", fmt.Sprint("/api/v1/pools?watch=true&from=", revision), "")
	defer func() { _ = stream.Body.Close() }()
	lines := bufio.NewScanner(stream.Body)
	if !lines.Scan() || strings.Contains(lines.Text(), `"error"`) {
		t.Fatalf("the stream begins with %q", lines.Text())
	}
	v.at = two.people.Listen
	if status := v.status("DELETE", "/api/v1/session", ""); status != http.StatusNoContent || v.cookies["__Host-weir"] != "" {
		t.Errorf("signing out: %d", status)
	}
	ended := make(chan string, 1)
	go func() {
		last := ""
		for lines.Scan() {
			last = lines.Text()
		}
		ended <- last
	}()
	// Each change is a line, or the end.
	n, last := 0, ""
	weirtest.Eventually(t, weirtest.Patience, func() error {
		n++
		one.apply(fmt.Sprintf("kind: Pool\nmetadata: {name: more-%d, role: web}\nspec: {members: [{name: a, address: 10.0.0.1, port: 80}]}\n", n))
		select {
		case last = <-ended:
			return nil
		default:
			return errors.New("the stream goes on")
		}
	})
	if !strings.Contains(last, `"status":401`) {
		t.Errorf("the stream ends with %s", last)
	}
	if status := thief.status("GET", "/api/v1/pools", ""); status != http.StatusUnauthorized {
		t.Errorf("who kept the cookie: %d", status)
	}
	// Nobody but the store of these control planes has it, and not as it is.
	if strings.Contains(log.String(), strings.Split(thief.cookies["__Host-weir"], "_")[2]) {
		t.Error("the cookie is in the log")
	}

	// The listener is for people, and takes no agents.
	answer := v.visit("GET", "/sites/www", "")
	page, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil || answer.Header.Get("Content-Type") == "" || strings.Contains(string(page), "urn:weir") {
		t.Errorf("the console is not there: %.100s %v", page, err)
	}
	for _, path := range []string{link.Prefix, "/grow/v1/join"} {
		if status := v.status("POST", path, "x: y"); status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, status)
		}
	}
	// Its certificate is what the files hold; files that are no pair change nothing.
	shows := func(serial string) error {
		conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: ca.pool(), ServerName: consoleHost}}).DialContext(t.Context(), "tcp", one.people.Listen)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if got := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String(); got != serial {
			return fmt.Errorf("it shows %s, not %s", got, serial)
		}
		return nil
	}
	if err := shows(first.serial(t)); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(certificate, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := shows(first.serial(t)); err != nil {
		t.Errorf("with a broken file: %v", err)
	}
	second := ca.sign(ecdsaKey(t), consoleHost)
	second.files(t, certificate, key)
	if err := shows(second.serial(t)); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "could not be read again") || !strings.Contains(log.String(), "was read again") {
		t.Error("the log tells nothing of the files")
	}
}

// serial is that of a pair's certificate, as people write it.
func (p keyPair) serial(t *testing.T) string {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(p.chain), []byte(p.key))
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf.SerialNumber.String()
}

// The files of a certificate for people are looked at before anything is served.
func TestBadCertificatesForPeople(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "people")
	dir := weirtest.TempDir(t)
	certificate, key := filepath.Join(dir, "console.pem"), filepath.Join(dir, "console.key")
	place := func(pair keyPair) { pair.files(t, certificate, key) }
	for _, c := range []struct {
		prepare func()
		want    string
	}{
		{func() {}, "no such file"},
		{func() { place(keyPair{ca.sign(ecdsaKey(t), consoleHost).chain, pemKey(t, ecdsaKey(t))}) }, "are no pair"},
		{func() {
			place(ca.sign(ecdsaKey(t), consoleHost))
			if err := os.Chmod(key, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "chmod 600"},
		{func() { place(ca.sign(ecdsaKey(t), consoleHost)) }, "listen for people"},
	} {
		c.prepare()
		at := weirtest.Prefix(t).Addr().Next().String()
		err := server.Run(t.Context(), server.Options{
			// Nobody here has the address of the listener for people.
			Dir: filepath.Join(weirtest.TempDir(t), "data"), Listen: at + ":7443", People: &server.People{Listen: "192.0.2.1:443", Certificate: certificate, Key: key},
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
