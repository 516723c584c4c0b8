package signin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"weir"
)

const (
	// answerWithin and answerBytes bound each answer of an identity provider.
	answerWithin = 10 * time.Second
	answerBytes  = 1 << 20
	// believed is how long what a provider says of itself is believed, failed how long it is left alone that did not
	// answer.
	believed = time.Hour
	failed   = 10 * time.Second
)

// algorithms are those that ID tokens may be signed with: all that a provider alone can sign with.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}

// provider is an identity provider as it described itself.
type provider struct {
	spec     *weir.IdentityProvider
	client   *http.Client
	endpoint oauth2.Endpoint
	verifier *oidc.IDTokenVerifier
	// names says that the provider's answers by way of the browser name it (RFC 9207).
	names bool
}

// known is what is known of a provider of a name; one at a time asks it.
type known struct {
	mu sync.Mutex
	// of names the objects that it was found out by, until is when it is asked again.
	of       string
	until    time.Time
	provider *provider
	err      error
}

// unreached is an error for people; its cause is for the log.
func unreached(name string, cause error) error {
	return &weir.Error{Kind: weir.Unavailable, Message: "sign in with " + name + ": it does not answer as it should; the server's log says why", Cause: cause}
}

// provider gives an identity provider, which is asked about itself once in a while.
func (d *Desk) provider(ctx context.Context, name string) (*provider, error) {
	view := d.opts.Store.View()
	o := view.Get(weir.Ref{Kind: "IdentityProvider", Name: name})
	if o == nil {
		return nil, weir.Errorf(weir.NotFound, "there is no identity provider of this name")
	}
	spec := o.Spec.(*weir.IdentityProvider)
	of, authority := fmt.Sprint(o.Revision), ""
	if spec.Authority != "" {
		c := view.Get(weir.Ref{Kind: "Certificate", Name: spec.Authority})
		if c == nil {
			return nil, unreached(name, fmt.Errorf("its Certificate/%s is not there", spec.Authority))
		}
		of, authority = fmt.Sprint(of, " ", c.Revision), c.Spec.(*weir.Certificate).Chain.String()
	}
	d.mu.Lock()
	k := d.providers[name]
	if k == nil {
		k = &known{}
		d.providers[name] = k
	}
	d.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	now := d.opts.Clock()
	if k.of == of && now.Before(k.until) {
		return k.provider, k.err
	}
	if k.provider != nil {
		k.provider.client.CloseIdleConnections()
	}
	k.of = of
	// Whoever asked first may go away meanwhile; what comes is for all that ask.
	if k.provider, k.err = d.discover(context.WithoutCancel(ctx), spec, authority); k.err != nil {
		k.err = unreached(name, k.err)
		k.until = now.Add(failed)
		return nil, k.err
	}
	k.until = now.Add(believed)
	return k.provider, nil
}

// brief is an error that may quote whole answers of somebody else.
func brief(err error) error { return fmt.Errorf("%.300s", err) }

// discover asks a provider about itself.
func (d *Desk) discover(ctx context.Context, spec *weir.IdentityProvider, authority string) (*provider, error) {
	client, err := d.client(authority)
	if err != nil {
		return nil, err
	}
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, client), spec.Issuer)
	if err != nil {
		return nil, brief(err)
	}
	var said struct {
		Authorization string   `json:"authorization_endpoint"`
		Token         string   `json:"token_endpoint"`
		Keys          string   `json:"jwks_uri"`
		Proofs        []string `json:"token_endpoint_auth_methods_supported"`
		Names         bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&said); err != nil {
		return nil, brief(err)
	}
	for what, text := range map[string]string{"authorization_endpoint": said.Authorization, "token_endpoint": said.Token, "jwks_uri": said.Keys} {
		if u, err := url.Parse(text); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
			return nil, fmt.Errorf("its %s is no https URL", what)
		}
	}
	p := &provider{spec: spec, client: client, endpoint: found.Endpoint(), names: said.Names}
	switch {
	case spec.Secret == "", !slices.Contains(said.Proofs, "client_secret_basic") && slices.Contains(said.Proofs, "client_secret_post"):
		p.endpoint.AuthStyle = oauth2.AuthStyleInParams
	case len(said.Proofs) == 0 || slices.Contains(said.Proofs, "client_secret_basic"):
		p.endpoint.AuthStyle = oauth2.AuthStyleInHeader
	default:
		return nil, errors.New("it takes a client's secret neither as client_secret_basic nor as client_secret_post")
	}
	p.verifier = found.VerifierContext(oidc.ClientContext(ctx, client), &oidc.Config{ClientID: spec.ClientID, SupportedSigningAlgs: algorithms, Now: d.opts.Clock})
	return p, nil
}

// client makes connections to where the control plane may ask, follows nobody elsewhere, and reads a bounded answer.
func (d *Desk) client(authority string) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if authority != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(authority)) {
			return nil, errors.New("its authority holds no certificate")
		}
	}
	return &http.Client{
		Timeout: answerWithin,
		Transport: bounded{&http.Transport{
			DialContext: d.opts.Dial, TLSClientConfig: config, TLSHandshakeTimeout: answerWithin, ForceAttemptHTTP2: true,
			MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("it leads elsewhere, and redirects are not followed")
		},
	}, nil
}

// bounded cuts answers that are too long.
type bounded struct{ *http.Transport }

// RoundTrip asks once.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = &cut{ReadCloser: resp.Body, left: answerBytes}
	}
	return resp, err
}

type cut struct {
	io.ReadCloser
	left int
}

// Read fails where the answer is too long, so that none is taken for whole.
func (c *cut) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.left -= n; c.left < 0 {
		return 0, errors.New("its answer is too long")
	}
	return n, err
}

// prove gives the secret by which a provider knows this control plane; empty for a public client.
func (d *Desk) prove(ctx context.Context, spec *weir.IdentityProvider) (string, error) {
	if spec.Secret == "" {
		return "", nil
	}
	s := weir.Find[weir.Secret](d.opts.Store.View(), "Secret", spec.Secret)
	if s == nil || s.DataRef == nil {
		return "", fmt.Errorf("its Secret/%s holds nothing", spec.Secret)
	}
	opened, err := d.opts.Store.Secret(ctx, weir.Ref{Kind: "Secret", Name: spec.Secret}, s.DataRef.Generation)
	if err != nil {
		return "", fmt.Errorf("open Secret/%s: %w", spec.Secret, err)
	}
	return strings.TrimSpace(opened.Text()), nil
}

// exchange gives the ID token for a code.
func (d *Desk) exchange(ctx context.Context, p *provider, name, code, redirect, verifier string) (string, error) {
	secret, err := d.prove(ctx, p.spec)
	if err != nil {
		return "", unreached(name, err)
	}
	config := oauth2.Config{ClientID: p.spec.ClientID, ClientSecret: secret, Endpoint: p.endpoint, RedirectURL: redirect}
	token, err := config.Exchange(oidc.ClientContext(ctx, p.client), code, oauth2.VerifierOption(verifier))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused):
		// Not the answer itself, which is the provider's.
		return "", unproven(name, fmt.Errorf("the token endpoint answers %d, %.80q", refused.Response.StatusCode, refused.ErrorCode))
	case err != nil:
		return "", unreached(name, brief(err))
	}
	text, _ := token.Extra("id_token").(string)
	if text == "" {
		return "", unproven(name, errors.New("the token endpoint gave no ID token"))
	}
	return text, nil
}

// Dial is how an identity provider is reached.
type Dial = func(ctx context.Context, network, address string) (net.Conn, error)
