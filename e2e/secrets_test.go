package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/link"
	"weir/internal/secrets"
	"weir/internal/weirtest"
)

// canary is a secret by the forms in which it could be found.
type canary struct {
	name  string
	forms [][]byte
}

func newCanary(name, secret string) canary {
	c := canary{name: name}
	for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)), fmt.Sprintf("%x", secret)} {
		c.forms = append(c.forms, []byte(form))
	}
	return c
}

func (c canary) in(text []byte) bool {
	for _, form := range c.forms {
		if bytes.Contains(text, form) {
			return true
		}
	}
	return false
}

// keyCanary is a line in the middle of a key's PEM, and the bytes that it stands for.
func keyCanary(t *testing.T, name, key string) canary {
	t.Helper()
	line := strings.Split(key, "\n")[2]
	raw, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		t.Fatal(err)
	}
	c := newCanary(name, line)
	c.forms = append(c.forms, newCanary(name, string(raw)).forms...)
	return c
}

// TestSecretsStayWhereTheyBelong: a served key, a client key, a Secret, the admin's token, a session, a join token, the keys of TLS
// session tickets with their seeds, and those of an ACME account, its external account, its DNS updates, and of an
// authority are in no file of the store, no log, answer or metric; of the agent's files only those of mode 0600
// that HAProxy reads keys from hold keys.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	h := weirtest.HAProxies(t)[0]
	w := newWorld(t)
	w.stopServer()
	log := &weirtest.Buffer{} // everything that is logged, at every level
	w.log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
	w.startServer()
	w.origin(200, "web1")
	ca := newAuthority(t, "ca")
	served, shown, replaced := ca.sign(rsaKey(t, 2048), "one.example.com"), ca.sign(rsaKey(t, 2048), "weir"), ca.sign(rsaKey(t, 2048), "one.example.com")
	const secret = "canary-of-a-secret-e91f"
	canaries := []canary{
		keyCanary(t, "served key", served.key), keyCanary(t, "client key", shown.key), keyCanary(t, "replaced key", replaced.key),
		newCanary("secret", secret), newCanary("admin token", w.token),
	}
	told := &bytes.Buffer{}
	canaries = append(canaries, w.issuerCanaries(told)...)
	w.apply(w.oneZone() + replaced.manifest("one") + secureSite("one", "one.example.com", "[one]") +
		keyPair{chain: ca.pem}.manifest("ca") + shown.manifest("weir") + "---\nkind: Secret\nmetadata: {name: s, role: web}\nspec: {data: " + secret + "}\n" +
		poolSite("outward", fmt.Sprintf("members: [{name: m, address: %s, port: 4430}], healthCheck: {type: none}, tls: {verify: ca, ca: ca, sni: a.example, clientCertificate: weir}", w.at(201))))
	a := w.join("lb1", "edge", "az1", h, "")
	w.converged(1)
	revision := w.apply(served.manifest("one"))
	w.converged(revision)
	tlsClient{w: w, roots: ca.pool(), sni: "one.example.com"}.serves(w.at(17).String()+":8443", "one.example.com", "/")
	w.shares(1, 1)
	canaries = append(canaries, w.ticketCanaries(a)...)
	canaries = append(canaries, newCanary("session", w.session()))
	w.provoke(told, served, secret)
	w.readAll(told, revision)
	for _, c := range canaries {
		if c.in(told.Bytes()) {
			t.Errorf("the %s is in an answer", c.name)
		}
	}
	w.converged(1)
	w.stopServer()
	a.stop()
	for _, c := range canaries {
		if c.in([]byte(log.String())) {
			t.Errorf("the %s is in the log", c.name)
		}
	}
	if log.String() == "" {
		t.Error("nothing was logged: that shows nothing")
	}
	w.searchFiles(a, canaries)
}

// issuerCanaries are what issuers keep, once they have been of use: an authority that has signed, and an account whose
// authority answers nobody, or with words that are none.
func (w *world) issuerCanaries(told io.Writer) []canary {
	w.t.Helper()
	const external, update = "ZXh0ZXJuYWwtYWNjb3VudC1jYW5hcnktNWMwZQ", "dXBkYXRlLWtleS1jYW5hcnktMmIxZi1sb25nLWVub3VnaA=="
	account, signer := pemKey(w.t, ecdsaKey(w.t)), newAuthority(w.t, "inside")
	quoted := func(text string) string { return fmt.Sprintf("%q", text) }
	public := func(name, key string) string {
		return "---\nkind: Issuer\nmetadata: {name: " + name + "}\nspec: {type: acme, key: " + quoted(key) + ", acme: {directory: \"https://" + w.at(1).String() + ":1/dir\", challenge: dns-01, " +
			"externalAccount: {keyID: kid, secret: eab}, dns: {rfc2136: {server: \"" + w.at(1).String() + ":1\", key: k.example, secret: tsig}}}}\n"
	}
	inside := func(name, key string) string {
		return "---\nkind: Issuer\nmetadata: {name: " + name + "}\nspec: {type: ca, ca: {commonName: Inside}, key: " + quoted(key) + ", chain: " + quoted(signer.pem) + "}\n"
	}
	w.apply("kind: Secret\nmetadata: {name: eab}\nspec: {data: " + external + "}\n---\nkind: Secret\nmetadata: {name: tsig}\nspec: {data: " + update + "}\n" +
		public("public", account) + inside("inside", pemKey(w.t, signer.key)) +
		"---\nkind: Certificate\nmetadata: {name: outside}\nspec: {issuer: public, names: [outside.example.com]}\n" +
		"---\nkind: Certificate\nmetadata: {name: within}\nspec: {issuer: inside, names: [within.example.com]}\n")
	w.says("certificates/within", "Issued", "True", "good until")
	w.says("certificates/outside", "Issued", "False", "unreachable")
	for _, data := range []string{external + " and a blank", "=" + external} { // no base64url
		w.apply("kind: Secret\nmetadata: {name: eab}\nspec: {data: " + quoted(data) + "}\n")
		w.says("certificates/outside", "Issued", "False", "holds no key in base64url")
	}
	w.apply("kind: Secret\nmetadata: {name: eab}\nspec: {data: " + external + "}\n---\nkind: Secret\nmetadata: {name: tsig}\nspec: {data: \"" + update + "%\"}\n")
	w.says("certificates/outside", "Issued", "False", "base64")
	for _, body := range []string{
		public("wrong", strings.ReplaceAll(account, "PRIVATE", "PIRATE")), inside("wrong", account),
		"kind: Issuer\nmetadata: {name: x}\nspec: {type: acme, key: [" + quoted(account) + "]}\n",
	} {
		status, err := w.call("POST", "/api/v1/apply", body, nil)
		if status != 400 {
			w.t.Errorf("%.60q: %d %v", body, status, err)
		}
		fmt.Fprintln(told, err)
	}
	return []canary{
		newCanary("external account's key", external), newCanary("key for DNS updates", update),
		keyCanary(w.t, "account's key", account), keyCanary(w.t, "authority's key", pemKey(w.t, signer.key)),
	}
}

// ticketCanaries are the keys of TLS session tickets that a load balancer has, and the seeds that they came of.
func (w *world) ticketCanaries(a *runningAgent) []canary {
	w.t.Helper()
	text, err := secrets.ReadPrivateFile(filepath.Join(w.memory, a.name, "ticket.keys"))
	if err != nil {
		w.t.Fatal(err)
	}
	brief, _, err := link.FetchBrief(w.t.Context(), link.Options{URLs: []string{w.url}, Dir: filepath.Join(a.dir, "link")})
	if err != nil {
		w.t.Fatal(err)
	}
	var told struct{ Seeds []struct{ Bytes []byte } }
	if err := json.Unmarshal(brief, &told); err != nil || len(told.Seeds) != 3 {
		w.t.Fatalf("%d seeds: %v", len(told.Seeds), err)
	}
	var list []canary
	for _, line := range strings.Fields(string(text)) {
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, newCanary("ticket key", string(raw)))
	}
	for _, seed := range told.Seeds {
		list = append(list, newCanary("seed of ticket keys", string(seed.Bytes)))
	}
	return list
}

// provoke makes refusals that hold secrets.
func (w *world) provoke(told io.Writer, served keyPair, secret string) {
	w.t.Helper()
	other := newAuthority(w.t, "other").issue("x.example.com")
	for _, body := range []string{
		keyPair{other.chain, served.key}.manifest("wrong"),
		keyPair{served.chain, strings.ReplaceAll(served.key, "PRIVATE", "PIRATE")}.manifest("wrong"),
		keyPair{served.key, served.key}.manifest("wrong"),
		"kind: Secret\nmetadata: {name: x, role: nobody}\nspec: {data: " + secret + "}\n",
		"kind: Secret\nmetadata: {name: x}\nspec: {data: [" + secret + "]}\n",
		"kind: Secret\nmetadata: {name: x}\nspec: {data: *" + secret + "}\n",
		"kind: Secret\nmetadata: {name: x}\nspec: {dat: " + secret + "}\n",
	} {
		status, err := w.call("POST", "/api/v1/apply", body, nil)
		if status != 400 {
			w.t.Errorf("%.60q: %d %v", body, status, err)
		}
		fmt.Fprintln(told, err)
	}
}

// readAll reads everything that the API tells.
func (w *world) readAll(told *bytes.Buffer, revision int64) {
	w.t.Helper()
	for _, o := range w.everything() {
		told.WriteString(o)
	}
	paths := []string{"/api/v1/status", "/api/v1/counts", "/api/v1/changes", "/api/v1/loadbalancers/lb1/render", "/api/v1/loadbalancergroups/edge/ticketkeys", "/api/v1/pools/outward/health", "/api/v1/whoami"}
	for r := int64(1); r <= revision; r++ {
		paths = append(paths, fmt.Sprintf("/api/v1/changes/%d", r))
	}
	for _, path := range paths {
		var answer any
		if _, err := w.call("GET", path, "", &answer); err != nil {
			w.t.Error(err)
		}
		told.WriteString(toJSON(answer))
	}
	var answer any
	if _, err := w.call("POST", fmt.Sprintf("/api/v1/changes/%d/undo?dryRun=true&plan=true", revision), "", &answer); err != nil {
		w.t.Error(err)
	}
	told.WriteString(toJSON(answer))
	metrics, err := http.Get("http://" + w.at(1).String() + ":7444/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer metrics.Body.Close()
	if _, err := io.Copy(told, metrics.Body); err != nil {
		w.t.Fatal(err)
	}
}

// searchFiles looks through everything that control plane and agent have on disk.
func (w *world) searchFiles(a *runningAgent, canaries []canary) {
	w.t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		for _, c := range canaries {
			if !c.in(text) {
				continue
			}
			name := strings.TrimPrefix(path, w.dir+"/")
			found[c.name] = true
			switch {
			case info.Mode().Perm() != 0o600:
				w.t.Errorf("%s, mode %v, holds the %s", name, info.Mode(), c.name)
			case c.name == "admin token" && filepath.Dir(path) == w.serverDir() && strings.Contains(name, "token"):
			case c.name == "replaced key" && strings.HasPrefix(name, "lb1/link/keys/"): // until the next heartbeat
			case (c.name == "served key" || c.name == "client key") && strings.HasPrefix(path, a.dir):
			default:
				w.t.Errorf("%s holds the %s", name, c.name)
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, want := range []string{"served key", "client key", "admin token"} {
		if !found[want] {
			w.t.Errorf("the %s is nowhere: the search shows nothing", want)
		}
	}
}
