package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"weir"
	"weir/internal/acme"
	"weir/internal/dns01"
)

// issuer is an Issuer opened: what it takes to speak to its authority, or to be it.
type issuer struct {
	revision  int64 // of the object that it was made of, and of the secrets that this names
	secrets   string
	authority *Authority
	client    *acme.Client
	solver    dns01.Solver
	limits    []acme.Limit
	rest      rest
	of        string // the key and the directory of the account

	mu      sync.Mutex
	account account
	kept    value
}

// account is what is kept of an issuer's account.
type account struct {
	// Known is that of the key and the directory that Of stands for.
	Known  *acme.Account `json:"known,omitempty"`
	Of     string        `json:"of,omitempty"`
	Budget acme.Budget   `json:"budget"`
}

// open gives an issuer, made anew when its object or a secret of it has changed.
func (k *Keeper) open(ctx context.Context, name string) (*issuer, *weir.Issuer, error) {
	set := k.opts.Store.View()
	o := set.Get(weir.Ref{Kind: "Issuer", Name: name})
	if o == nil {
		return nil, nil, fmt.Errorf("%s is not there", weir.Ref{Kind: "Issuer", Name: name})
	}
	spec := o.Spec.(*weir.Issuer)
	used := uses(set, spec)
	k.mu.Lock()
	known := k.issuers[name]
	k.mu.Unlock()
	if known != nil && known.revision == o.Revision && known.secrets == used {
		return known, spec, nil
	}
	made := &issuer{revision: o.Revision, secrets: used}
	key, err := k.secret(ctx, "Issuer", name, spec.KeyRef)
	if err != nil {
		return nil, nil, err
	}
	if spec.Type == weir.IssuerCA {
		made.authority, err = OpenAuthority(spec.Chain, key.Text())
	} else {
		err = k.openACME(ctx, name, spec, key.Text(), set, made)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", weir.Ref{Kind: "Issuer", Name: name}, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.issuers[name]; now != nil && now.revision >= made.revision && now.secrets == made.secrets {
		return now, spec, nil // somebody was first, and has the budget in hand
	}
	k.issuers[name] = made
	return made, spec, nil
}

// uses says of which revision the objects are that an issuer names: its secrets, and whom it believes.
func uses(set *weir.Set, spec *weir.Issuer) string {
	var used strings.Builder
	for _, r := range spec.References() {
		if other := set.Get(r.Ref); other != nil {
			fmt.Fprintf(&used, "%s@%d ", r.Ref, other.Revision)
		}
	}
	return used.String()
}

func (k *Keeper) openACME(ctx context.Context, name string, spec *weir.Issuer, key string, set *weir.Set, made *issuer) error {
	signer, err := ParseKey(key)
	if err != nil {
		return err
	}
	stored, generation, err := k.opts.Store.Platform(ctx, accountPrefix+name)
	if err != nil && weir.KindOf(err) != weir.NotFound {
		return err
	}
	if err == nil {
		made.kept = value{stored.Bytes(), generation}
		if err := json.Unmarshal(stored.Bytes(), &made.account); err != nil {
			k.opts.Log.Error("what is kept of an account can't be read; its budget begins anew", "issuer", name)
			made.account = account{}
		}
	}
	if made.of = spec.KeyRef.Fingerprint + " " + spec.ACME.Directory; made.account.Of != made.of {
		made.account.Known = nil
	}
	opts := acme.Options{Directory: spec.ACME.Directory, Key: signer, Contact: spec.ACME.Contact, Known: made.account.Known, Poll: k.opts.Poll, UserAgent: k.opts.Agent, Clock: k.opts.Clock}
	if opts.HTTP, err = httpClient(spec, set); err != nil {
		return err
	}
	if e := spec.ACME.ExternalAccount; e != nil {
		text, err := k.secretText(ctx, set, e.Secret)
		if err != nil {
			return err
		}
		hmac, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "="))
		if err != nil {
			return fmt.Errorf("%s holds no key in base64url, as authorities hand it out", weir.Ref{Kind: "Secret", Name: e.Secret})
		}
		opts.External = &acme.ExternalAccount{KeyID: e.KeyID, Key: hmac}
	}
	if made.client, err = acme.New(opts); err != nil {
		return err
	}
	made.limits = limitsOf(spec.ACME)
	return k.openDNS(ctx, spec.ACME.DNS, set, made)
}

func (k *Keeper) openDNS(ctx context.Context, d *weir.DNSChallenge, set *weir.Set, made *issuer) (err error) {
	if d == nil {
		return nil
	}
	proof := dns01.Proof{Servers: d.Servers}
	if d.Exec != "" {
		if k.opts.Programs == nil {
			return fmt.Errorf("spec.acme.dns.exec names program %q, and this server has no folder of challenge programs; start it with --challenge-programs", d.Exec)
		}
		made.solver, err = k.opts.Programs.Solver(d.Exec, proof)
		return err
	}
	text, err := k.secretText(ctx, set, d.RFC2136.Secret)
	if err != nil {
		return err
	}
	key, err := dns01.NewKey(d.RFC2136.Key, d.RFC2136.Algorithm, strings.TrimSpace(text))
	if err != nil {
		return err
	}
	made.solver, err = dns01.NewUpdater(dns01.UpdateOptions{Server: d.RFC2136.Server, Zone: d.RFC2136.Zone, Key: key, Proof: proof})
	return err
}

func (k *Keeper) secretText(ctx context.Context, set *weir.Set, name string) (string, error) {
	spec := weir.Find[weir.Secret](set, "Secret", name)
	if spec == nil {
		return "", fmt.Errorf("%s is not there", weir.Ref{Kind: "Secret", Name: name})
	}
	s, err := k.secret(ctx, "Secret", name, spec.DataRef)
	return s.Text(), err
}

// exchangePatience bounds one exchange with an authority.
const exchangePatience = 30 * time.Second

// httpClient trusts whom the issuer says, and goes where it is sent to by https alone.
func httpClient(spec *weir.Issuer, set *weir.Set) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if name := spec.ACME.Authority; name != "" {
		cert := weir.Find[weir.Certificate](set, "Certificate", name)
		if cert == nil {
			return nil, fmt.Errorf("%s is not there", weir.Ref{Kind: "Certificate", Name: name})
		}
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM([]byte(cert.Chain.String()))
	}
	to := newReach(spec.ACME.Directory)
	return &http.Client{
		Timeout:   exchangePatience,
		Transport: &http.Transport{TLSClientConfig: config, Proxy: to.proxy, DialContext: to.connect, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: atOnce, IdleConnTimeout: time.Minute},
	}, nil
}

// limitsOf are those of the issuer and, where they are known, of the authority.
func limitsOf(a *weir.ACME) []acme.Limit {
	var list []acme.Limit
	if u, err := url.Parse(a.Directory); err == nil && u.Hostname() == "acme-v02.api.letsencrypt.org" {
		list = acme.LetsEncrypt()
	}
	if b := a.Budget; b != nil {
		list = append(list, acme.Limit{Scope: acme.PerAccount, Count: b.Certificates, Per: b.Per.D()})
	}
	return list
}

// change changes what is kept of the account, and writes it down; one at a time, and not when f says no.
func (k *Keeper) change(ctx context.Context, name string, i *issuer, f func(a *account) bool) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	next := i.account
	if !f(&next) {
		return nil
	}
	raw, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("keep the account of Issuer/%s: %w", name, err)
	}
	now, err := k.write(ctx, accountPrefix+name, i.kept, raw)
	if err != nil {
		return fmt.Errorf("keep the account of Issuer/%s: %w", name, err)
	}
	i.account, i.kept = next, now
	k.mu.Lock()
	k.accounts[name] = true
	k.mu.Unlock()
	return nil
}

func (i *issuer) budget() acme.Budget {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.account.Budget
}
