package api

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// pair makes a certificate with its key in PEM.
func pair(t *testing.T) (chain, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "www.example.com"}, DNSNames: []string{"www.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

func indent(text string) string {
	return strings.ReplaceAll("\n"+strings.TrimSpace(text), "\n", "\n    ") + "\n"
}

// TestSecretsAreNotTold sends secrets in every way, well formed or not, and looks for them in all that is told.
func TestSecretsAreNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chain, key := pair(t)
	canaries := []string{"canary", strings.Split(key, "\n")[1]}
	certificate := func(key string) string {
		return "kind: Certificate\nmetadata: {name: www, role: web}\nspec:\n  chain: |" + indent(chain) + "  key: |" + indent(key)
	}
	var told bytes.Buffer
	try := func(status int, method, path, body string) {
		t.Helper()
		told.Write(w.want(w.do("admin", method, path, body), status).body)
	}
	s := w.stream(t, "admin", "/api/v1/secrets?watch=true")
	s.beat(1)
	try(201, "PUT", "/api/v1/certificates/www", certificate(key))
	try(200, "PUT", "/api/v1/certificates/www", certificate(key))
	_, otherKey := pair(t)
	canaries = append(canaries, strings.Split(otherKey, "\n")[1])
	try(400, "PUT", "/api/v1/certificates/www", certificate(otherKey))                  // not the chain's
	try(400, "PUT", "/api/v1/certificates/www", certificate(strings.ToLower(otherKey))) // no PEM
	secret := func(data string) string {
		return "kind: Secret\nmetadata: {name: s, role: web}\nspec: {data: " + data + "}"
	}
	for _, body := range []string{secret("canary"), secret(`"canary\u0001"`), secret("'canary%[src]'")} {
		try(200, "POST", "/api/v1/apply?plan=true", body)
		try(200, "POST", "/api/v1/plan", body)
	}
	for _, data := range []string{"*canary", "[canary]", "{a: canary}", "&a canary", "\"canary", "canary: canary", "@canary", "`canary", "%canary", "|canary", "!<canary canary", "!!binary canary", "!x canary", "\"\\canary\""} {
		try(400, "PUT", "/api/v1/secrets/s", secret(data))
	}
	try(400, "PUT", "/api/v1/secrets/s", strings.Replace(secret("canary"), "role: web", "role: nix", 1))
	issuer := func(name, spec string) string {
		return "kind: Issuer\nmetadata: {name: " + name + "}\nspec:\n" + spec
	}
	account := "  type: acme\n  acme: {directory: \"https://ca.example/dir\"}\n  key: |"
	try(201, "PUT", "/api/v1/issuers/account", issuer("account", account+indent(otherKey)))
	try(200, "PUT", "/api/v1/issuers/account", issuer("account", account+indent(key)))
	try(200, "POST", "/api/v1/plan", issuer("planned", account+indent(otherKey)))
	try(400, "PUT", "/api/v1/issuers/wrong", issuer("wrong", "  type: ca\n  ca: {commonName: x}\n  key: |"+indent(otherKey))) // without a chain
	try(400, "PUT", "/api/v1/issuers/wrong", issuer("wrong", "  type: acme\n  key: [canary]\n"))
	try(200, "GET", "/api/v1/issuers/account", "")
	if l := s.next(); l.Type != "put" || l.Object.Metadata.Name != "s" {
		t.Errorf("%+v", l)
	} else {
		told.Write(l.Object.Spec)
	}
	told.WriteString(w.everything() + w.auditText() + w.log.String())
	for _, path := range []string{"/api/v1/secrets", "/api/v1/certificates", "/api/v1/issuers", "/api/v1/secrets/key-web", "/api/v1/changes/2", "/api/v1/changes?kind=Secret"} {
		told.Write(w.want(w.do("admin", "GET", path, ""), 200).body)
	}
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(&told, families)
	for _, canary := range canaries {
		for line := range strings.Lines(told.String()) {
			if i := strings.Index(strings.ToLower(line), strings.ToLower(canary)); i >= 0 {
				t.Errorf("told: %s", line[max(0, i-200):min(len(line), i+200)])
			}
		}
	}
}

// TestOneLineARequest: the log says who did what, and nothing else is written.
func TestOneLineARequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.want(w.do("owner", "PUT", "/api/v1/pools/b", poolB), 201)
	w.want(w.do("", "GET", "/api/v1/pools", ""), 401)
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), w.log.String())
	}
	for _, want := range []string{`"method":"PUT"`, `"route":"/api/v1/pools/{name}"`, `"status":201`, `"author":"owner"`, `"revision":2`, `"name":"b"`, `"in":` + fmt.Sprint(len(poolB)), `"request":"` + a.Header.Get("Weir-Request")} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("%s is not in %s", want, lines[0])
		}
	}
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(families); !strings.Contains(text, "weir_api_requests_total") || strings.Contains(text, "pools/b") {
		t.Error(text)
	}
}

// TestFaultsOfOursAreNotTold: a panic, or an error that was not meant for clients, is a 500 with nothing in it.
func TestFaultsOfOursAreNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, handle := range map[string]func(*call) error{
		"panic": func(*call) error { panic("inner matter") },
		"error": func(*call) error { return errors.New("inner matter") },
	} {
		rt := &route{method: "GET", pattern: "/" + name, id: name, open: true, handle: handle}
		rec := newRecorder()
		w.handler.serve(rt).ServeHTTP(rec, w.request("", "GET", "/"+name, ""))
		if rec.Code != 500 || strings.Contains(rec.Body.String(), "inner") || rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
		if !strings.Contains(w.log.String(), "inner matter") {
			t.Error("not in the log either")
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var fault error
	h := Health(func(context.Context) error { return fault })
	ask := func(path string) int {
		rec := newRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		return rec.Code
	}
	if ask("/healthz") != 200 || ask("/readyz") != 200 || ask("/x") != 404 {
		t.Error("not healthy")
	}
	fault = errors.New("the store is not there")
	if ask("/healthz") != 200 || ask("/readyz") != 503 {
		t.Error("ready without a store")
	}
	w := newWorld(t)
	w.want(w.do("", "GET", "/healthz", ""), 200)
	w.want(w.do("", "GET", "/readyz", ""), 200)
}
