package weirtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// OpenID is a provider of OpenID Connect, of its own key and TLS, at which one client is registered. It answers as the
// standard has it (discovery, the code flow with PKCE, ID tokens of RS256) and refuses what that tells it to refuse.
type OpenID struct {
	// Issuer is its URL, Authority the PEM of who signed its certificate.
	Issuer, Authority string
	// ClientID and Secret are the client's, Redirects the addresses that are registered for it.
	ClientID, Secret string

	mu        sync.Mutex
	redirects []string
	user      map[string]any
	tamper    func(t *OpenIDToken)
	discovery func(map[string]any)
	codes     map[string]*openIDCode
	asked     map[string]int
	key       *rsa.PrivateKey
	kid       string
	now       func() time.Time
}

// OpenIDToken is an ID token before it is signed.
type OpenIDToken struct {
	Header, Claims map[string]any
	// Key signs it; nil leaves it without a signature.
	Key *rsa.PrivateKey
}

type openIDCode struct {
	redirect, challenge, nonce string
	user                       map[string]any
	used                       bool
}

// NewOpenID starts a provider whose clock is the one given; it ends with the test.
func NewOpenID(t testing.TB, now func() time.Time) *OpenID {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	o := &OpenID{ClientID: "weir", Secret: "secret-" + rand.Text(), codes: map[string]*openIDCode{}, asked: map[string]int{}, key: key, kid: rand.Text(), now: now}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", o.configuration)
	mux.HandleFunc("GET /authorize", o.authorize)
	mux.HandleFunc("POST /token", o.token)
	mux.HandleFunc("GET /keys", o.keys)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.asked[r.URL.Path]++
		o.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	o.Issuer = s.URL
	o.Authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	return o
}

// Register lets the client come back to an address.
func (o *OpenID) Register(redirect string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.redirects = append(o.redirects, redirect)
}

// SignIn says who sits at the browser from now on: the claims of their ID tokens, sub at least; nil for somebody who
// refuses.
func (o *OpenID) SignIn(claims map[string]any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.user = claims
}

// Tamper lets ID tokens be another than they should; nil ends that.
func (o *OpenID) Tamper(f func(t *OpenIDToken)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tamper = f
}

// Describe changes what the provider says of itself; nil ends that.
func (o *OpenID) Describe(f func(map[string]any)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.discovery = f
}

// Asked is how often a path was asked for.
func (o *OpenID) Asked(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[path]
}

// Rotate gives the provider another key.
func (o *OpenID) Rotate(t testing.TB) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.key, o.kid = key, rand.Text()
}

func (o *OpenID) configuration(w http.ResponseWriter, _ *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	said := map[string]any{
		"issuer": o.Issuer, "authorization_endpoint": o.Issuer + "/authorize", "token_endpoint": o.Issuer + "/token", "jwks_uri": o.Issuer + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		"code_challenge_methods_supported": []string{"S256"}, "authorization_response_iss_parameter_supported": true,
	}
	if o.discovery != nil {
		o.discovery(said)
	}
	openIDAnswer(w, http.StatusOK, said)
}

func openIDAnswer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// authorize sends the browser back with a code, if the request is one of the registered client.
func (o *OpenID) authorize(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	q := r.URL.Query()
	redirect := q.Get("redirect_uri")
	if q.Get("client_id") != o.ClientID || !slices.Contains(o.redirects, redirect) {
		http.Error(w, "the client or its redirect URI is not registered", http.StatusBadRequest)
		return
	}
	back := url.Values{"state": {q.Get("state")}, "iss": {o.Issuer}}
	switch {
	case q.Get("response_type") != "code", !slices.Contains(strings.Fields(q.Get("scope")), "openid"), q.Get("state") == "", q.Get("nonce") == "",
		q.Get("code_challenge_method") != "S256", len(q.Get("code_challenge")) != 43:
		back.Set("error", "invalid_request")
	case o.user == nil:
		back.Set("error", "access_denied")
		back.Set("error_description", "<b>anything</b>")
	default:
		code := rand.Text()
		o.codes[code] = &openIDCode{redirect: redirect, challenge: q.Get("code_challenge"), nonce: q.Get("nonce"), user: o.user}
		back.Set("code", code)
	}
	http.Redirect(w, r, redirect+"?"+back.Encode(), http.StatusFound)
}

// token gives an ID token for a code, once.
func (o *OpenID) token(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != o.ClientID || subtle.ConstantTimeCompare([]byte(secret), []byte(o.Secret)) != 1 {
		openIDAnswer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	code := o.codes[r.PostFormValue("code")]
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if r.PostFormValue("grant_type") != "authorization_code" || code == nil || code.used || code.redirect != r.PostFormValue("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != code.challenge {
		openIDAnswer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	code.used = true
	now := o.now()
	t := &OpenIDToken{Header: map[string]any{"alg": "RS256", "kid": o.kid, "typ": "JWT"}, Claims: map[string]any{
		"iss": o.Issuer, "aud": o.ClientID, "exp": now.Add(5 * time.Minute).Unix(), "iat": now.Unix(), "nonce": code.nonce,
	}, Key: o.key}
	for name, v := range code.user {
		t.Claims[name] = v
	}
	if o.tamper != nil {
		o.tamper(t)
	}
	openIDAnswer(w, http.StatusOK, map[string]any{"access_token": "access-" + rand.Text(), "token_type": "Bearer", "expires_in": 300, "id_token": t.text()})
}

// text signs the token.
func (t *OpenIDToken) text() string {
	part := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			panic("weirtest: " + err.Error())
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	signed := part(t.Header) + "." + part(t.Claims)
	if t.Key == nil {
		return signed + "."
	}
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, t.Key, crypto.SHA256, sum[:])
	if err != nil {
		panic("weirtest: " + err.Error())
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func (o *OpenID) keys(w http.ResponseWriter, _ *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	openIDAnswer(w, http.StatusOK, map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": o.kid, "n": base64.RawURLEncoding.EncodeToString(o.key.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(o.key.E)).Bytes()),
	}}})
}
