package acme

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is how far an order has come; the package says what follows what.
type State string

// The states of an order.
const (
	Begun      State = "begun"
	Presenting State = "presenting"
	Answering  State = "answering"
	Validating State = "validating"
	Ready      State = "ready"
	Processing State = "processing"
	Issued     State = "issued"
	Done       State = "done"
	Failed     State = "failed"
	Closed     State = "closed"
)

var states = []State{Begun, Presenting, Answering, Validating, Ready, Processing, Issued, Done, Failed, Closed}

// ChallengeType is a way to prove a name.
type ChallengeType string

// The ways to prove a name.
const (
	HTTP01 ChallengeType = "http-01" // an answer at port 80 of the name
	DNS01  ChallengeType = "dns-01"  // a TXT record below the name
)

// Order is an order as it is kept. It is not to be shown around: with its tokens others could guess at challenges.
type Order struct {
	// Directory and Account say whose it is; a Client of another account does not touch it.
	Directory string `json:"directory"`
	Account   string `json:"account"`
	// URL is the order's at the CA.
	URL       string        `json:"url"`
	Names     []string      `json:"names"`
	Challenge ChallengeType `json:"challenge"`
	Profile   string        `json:"profile,omitempty"`
	// Replaces is the certificate that the CA took note of that this one replaces; NotReplaced says why it took none.
	Replaces    string `json:"replaces,omitempty"`
	NotReplaced string `json:"notReplaced,omitempty"`

	State State `json:"state"`
	// Began is when the CA took the order, Since when it came into its state, Next when Advance is of use again; zero
	// is at once.
	Began time.Time `json:"began"`
	Since time.Time `json:"since"`
	Next  time.Time `json:"next,omitzero"`
	// Looks counts how often the CA was still at it in this state.
	Looks int `json:"looks,omitempty"`

	Authorizations []Authorization `json:"authorizations"`
	Finalize       string          `json:"finalize"`
	Certificate    string          `json:"certificate,omitempty"`
	// Refused is when the CA was first seen to refuse a name.
	Refused time.Time `json:"refused,omitzero"`

	// Chain is the certificate and what signed it, as PEM, once it is Done.
	Chain string `json:"chain,omitempty"`
	// Failure is why the order is Failed or Closed, Trouble what the last Advance met that may pass.
	Failure *Error `json:"failure,omitempty"`
	Trouble *Error `json:"trouble,omitempty"`
}

// Authorization is the CA's question whether the account may have a certificate for a name.
type Authorization struct {
	URL string `json:"url"`
	// Name is with the *. of a wildcard; empty until it was read. State is the CA's word for it.
	Name  string `json:"name,omitempty"`
	State string `json:"state,omitempty"`
	// The challenge that was chosen; empty when it was valid already.
	ChallengeURL     string `json:"challengeURL,omitempty"`
	Token            string `json:"token,omitempty"`
	KeyAuthorization string `json:"keyAuthorization,omitempty"`
	// Answered says that the CA was told that it may look.
	Answered bool       `json:"answered,omitempty"`
	Failure  *NameError `json:"failure,omitempty"`
}

// Challenge is what the caller must present to the world.
type Challenge struct {
	// Name is the name to prove, with the *. of a wildcard.
	Name string
	Type ChallengeType
	// With http-01 http://<name>/.well-known/acme-challenge/<Token> is answered with KeyAuthorization.
	Token, KeyAuthorization string
	// With dns-01 a TXT record of this name has this value. A name and its wildcard share the record's name and have a
	// value each, both at once.
	Record, Value string
}

// Finished says that nothing is left to do.
func (o Order) Finished() bool { return o.State == Done || o.State == Closed }

// Due gives Next, or now when that is further ahead than any CA can ask for: then it was told by a wrong clock.
func (o Order) Due(now time.Time) time.Time {
	if o.Next.Sub(now) > maxWait {
		return now
	}
	return o.Next
}

// Challenges gives what is to be presented from Presenting on until the order is Done, Failed or Closed, and to be taken
// away after: whatever has been proven meanwhile, so that it is the same in each of these states.
func (o Order) Challenges() []Challenge {
	var out []Challenge
	for _, a := range o.Authorizations {
		if a.Token == "" {
			continue
		}
		ch := Challenge{Name: a.Name, Type: o.Challenge, Token: a.Token, KeyAuthorization: a.KeyAuthorization}
		if o.Challenge == DNS01 {
			sum := sha256.Sum256([]byte(a.KeyAuthorization))
			ch.Record = "_acme-challenge." + strings.TrimPrefix(a.Name, "*.")
			ch.Value = base64.RawURLEncoding.EncodeToString(sum[:])
		}
		out = append(out, ch)
	}
	return out
}

// Presented says that all Challenges can be seen by whoever looks. It changes nothing in another state than Presenting.
func (o Order) Presented() Order {
	if o.State == Presenting {
		o = o.clone()
		o.State, o.Next, o.Looks = Answering, time.Time{}, 0
	}
	return o
}

// Abandon gives an order up that is not finished; Advance then tells the CA.
func (o Order) Abandon(why string) Order {
	if o.Finished() || o.State == Failed {
		return o
	}
	o = o.clone()
	e := local(StepTidy, TypeAbandoned, clean(why))
	o.State, o.Failure, o.Trouble, o.Next = Failed, e, nil, time.Time{}
	return o
}

func (o Order) clone() Order {
	o.Names = slices.Clone(o.Names)
	o.Authorizations = slices.Clone(o.Authorizations)
	return o
}

// secrets are what no message may hold.
func (o Order) secrets() []string {
	var out []string
	for _, a := range o.Authorizations {
		out = append(out, a.KeyAuthorization, a.Token)
	}
	return out
}

// to moves the order on.
func (o *Order) to(s State, now time.Time) {
	if o.State != s {
		o.Since, o.Looks = now, 0
	}
	o.State, o.Next = s, time.Time{}
}

// fail ends the order.
func (o *Order) fail(e *Error, now time.Time) {
	o.to(Failed, now)
	o.Failure, o.Trouble = e, nil
}

// ParseOrder reads an Order that was kept as JSON, and refuses one that no Client can have made.
func ParseOrder(data []byte) (Order, error) {
	var o Order
	if err := json.Unmarshal(data, &o); err != nil {
		return Order{}, fmt.Errorf("read an order: %w", err)
	}
	if err := o.check(); err != nil {
		return Order{}, fmt.Errorf("read an order: %w", err)
	}
	return o, nil
}

func (o Order) check() error {
	if !slices.Contains(states, o.State) {
		return fmt.Errorf("the state %q is none", clean(string(o.State)))
	}
	if o.Challenge != HTTP01 && o.Challenge != DNS01 {
		return fmt.Errorf("the challenge %q is none", clean(string(o.Challenge)))
	}
	if len(o.Names) == 0 || len(o.Authorizations) == 0 {
		return fmt.Errorf("it has no names or no authorizations")
	}
	urls := []string{o.Directory, o.Account, o.URL, o.Finalize}
	if o.Certificate != "" {
		urls = append(urls, o.Certificate)
	}
	for _, a := range o.Authorizations {
		urls = append(urls, a.URL)
		if a.Token != "" {
			urls = append(urls, a.ChallengeURL)
		}
		if (a.Token == "") != (a.KeyAuthorization == "") {
			return fmt.Errorf("a challenge has no token or no key authorization")
		}
	}
	for _, u := range urls {
		if err := checkURL(u); err != nil {
			return fmt.Errorf("one of its addresses is no https URL")
		}
	}
	return nil
}
