// Package acme gets certificates from a certificate authority (CA) that speaks ACME: RFC 8555, with external accounts,
// profiles and renewal information (ARI, RFC 9773). It decides nothing of when and what to order, keeps nothing on disk
// and presents no challenge itself; callers hand it plain values and keep what it hands back.
//
// # An account
//
//	client, err := acme.New(acme.Options{Directory: url, HTTP: httpClient, Key: accountKey, Contact: contact})
//	account, err := client.Account(ctx) // finds it by its key, registers it when there is none, updates its contacts
//
// A Client may be used by many goroutines. Nothing of an order lives in it: any Client of the same directory and account
// key goes on where another one was.
//
// # An order
//
// An Order is data. Begin makes one, Advance does the one thing that is due next, and each time the caller writes down
// what it got before it goes on:
//
//	o, err := client.Begin(ctx, acme.Request{Names: names, Challenge: acme.DNS01, Replaces: certID})
//	for save(o); !o.Finished(); save(o) {
//		if o.State == acme.Presenting {
//			present(o.Challenges()) // and see that they can be seen
//			o = o.Presented()
//			continue
//		}
//		wait(o.Next)
//		o, err = client.Advance(ctx, o, key)
//	}
//	withdraw(o.Challenges())
//
// The states follow each other in this order; only from Ready it may go back to Validating, when the CA says that the
// order is not ready after all:
//
//	Begun       the CA has the order; Advance reads what it wants proven
//	Presenting  the caller presents o.Challenges(), proves that they can be seen, and says so with o.Presented()
//	Answering   Advance tells the CA that it may look
//	Validating  Advance asks what the CA found, no sooner than the CA wants to be asked
//	Ready       Advance sends the request for the key that the caller gives
//	Processing  Advance asks for the certificate
//	Issued      Advance gets the chain and checks it
//	Done        o.Chain is the certificate
//	Failed      o.Failure says why; Advance gives up what is still pending at the CA
//	Closed      the same, and nothing is left to do
//
// What was proven before is not proven again: an order whose names the CA still knows goes from Begun to Ready without
// a challenge. A step whose answer was lost is found out about, not repeated. Only for Begin there is no such way: an
// order whose answer was lost is unknown to us, and the CA lets it expire.
//
// # What goes wrong
//
// Every error is an *Error, which is data too: the step, the names that it is about, the CA's own words made harmless,
// whether it makes sense to try again, and when at the soonest. An error of Advance that leaves the order in its state
// passes; one that ends the order leaves it Failed. Retries says when to begin anew, a Budget when the CA's limits allow
// it.
//
// # What a certificate needs later
//
// RenewalInfo tells when the CA wants a certificate to be replaced, CertID names it in the order that replaces it,
// Revoke takes it back.
package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"
)

// Options say which account of which CA a Client works for.
type Options struct {
	// Directory is the CA's address, an https URL.
	Directory string
	// HTTP carries all requests: whom it trusts, where it may connect to and how long an exchange may take (30 seconds
	// when it says nothing) is the caller's. It follows no redirect here.
	HTTP *http.Client
	// Key is the account's: ECDSA P-256 or P-384, or RSA of 2048 bits or more.
	Key crypto.Signer
	// Contact are mail addresses, with or without "mailto:", that the CA may write to.
	Contact []string
	// External binds a new account to one that the CA knows by other means; nil for none.
	External *ExternalAccount
	// Known is what Account returned before, so that it need not be asked for again; nil for nothing.
	Known *Account
	// Poll is the first pause between two looks at what the CA is still at, when it does not say itself; one second
	// when left out.
	Poll time.Duration
	// UserAgent goes before the library's own in each request.
	UserAgent string
	// Clock tells the time; time.Now when nil.
	Clock func() time.Time
}

// ExternalAccount is a CA's leave to register an account (RFC 8555, 7.3.4).
type ExternalAccount struct {
	KeyID string
	// Key is the HMAC key itself, not its base64.
	Key []byte
}

// Client speaks to one CA for one account.
type Client struct {
	opts    Options
	contact []string // as the CA wants them, sorted
	http    *http.Client
	print   string // the key's thumbprint, the second half of key authorizations
	now     func() time.Time

	lost    atomic.Bool // the CA does not know Options.Known
	session *once1[*session]
	account *once1[*Account]
}

// New checks the options and makes a Client; it sends nothing yet.
func New(opts Options) (*Client, error) {
	if u, err := url.Parse(opts.Directory); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, local(StepDirectory, TypeBadInput, "the directory must be an https URL")
	}
	if opts.HTTP == nil {
		return nil, local(StepDirectory, TypeBadInput, "there is no HTTP client")
	}
	if !fitForAccount(opts.Key) {
		return nil, local(StepAccount, TypeBadInput, "the account's key must be ECDSA P-256 or P-384, or RSA of 2048 bits or more")
	}
	if opts.External != nil && (opts.External.KeyID == "" || len(opts.External.Key) == 0) {
		return nil, local(StepAccount, TypeBadInput, "an external account needs a key ID and a key")
	}
	contact, err := contacts(opts.Contact)
	if err != nil {
		return nil, err
	}
	if opts.Poll <= 0 {
		opts.Poll = time.Second
	}
	opts.Poll = min(opts.Poll, maxPoll)
	account := acmez.Account{PrivateKey: opts.Key}
	print, err := account.Thumbprint()
	if err != nil {
		return nil, local(StepAccount, TypeBadInput, "the account's key is of a kind that ACME does not know")
	}
	c := &Client{opts: opts, contact: contact, print: print, now: opts.Clock}
	if c.now == nil {
		c.now = time.Now
	}
	c.http = bounded(opts.HTTP)
	c.session, c.account = newOnce1[*session](), newOnce1[*Account]()
	return c, nil
}

func fitForAccount(key crypto.Signer) bool {
	if key == nil {
		return false
	}
	switch pub := key.Public().(type) {
	case *ecdsa.PublicKey:
		return slices.Contains([]elliptic.Curve{elliptic.P256(), elliptic.P384()}, pub.Curve)
	case *rsa.PublicKey:
		return pub.N.BitLen() >= 2048
	default:
		return false
	}
}
