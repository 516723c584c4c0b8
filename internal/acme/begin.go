package acme

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	acmez "github.com/mholt/acmez/v3/acme"
)

// Request is what a certificate is to be.
type Request struct {
	// Names are host names in ASCII, wildcards too if the challenge is DNS01.
	Names     []string
	Challenge ChallengeType
	// Profile is one of those that the CA's directory lists; empty leaves it to the CA.
	Profile string
	// Replaces is the CertID of the certificate that this one replaces; empty for none. When the CA does not take it,
	// as because that one was replaced before, it is ordered without.
	Replaces string
}

// Begin orders a certificate. It is not repeated when its answer is lost, since that could be a second order.
func (c *Client) Begin(ctx context.Context, r Request) (Order, error) {
	names, err := cleanNames(r.Names, r.Challenge)
	if err != nil {
		return Order{}, err
	}
	account, err := c.Account(ctx)
	if err != nil {
		return Order{}, err
	}
	s, err := c.open(ctx)
	if err != nil {
		return Order{}, err
	}
	if err := checkProfile(s.dir, r.Profile); err != nil {
		return Order{}, err
	}
	o := Order{
		Directory: c.opts.Directory, Account: account.URL, Names: names, Challenge: r.Challenge, Profile: r.Profile,
		Replaces: r.Replaces,
	}
	if s.dir.RenewalInfo == "" && r.Replaces != "" {
		o.Replaces, o.NotReplaced = "", "the CA has no renewal information"
	}
	if err := c.newOrder(ctx, s, &o); err != nil {
		return Order{}, err
	}
	return o, nil
}

func checkProfile(d acmez.Directory, profile string) error {
	var offers []string
	if d.Meta != nil {
		offers = slices.Sorted(maps.Keys(d.Meta.Profiles))
	}
	switch {
	case profile == "" || slices.Contains(offers, profile):
		return nil
	case len(offers) == 0:
		return local(StepOrder, TypeUnsupported, "the CA has no profiles: leave it out")
	}
	return local(StepOrder, TypeUnsupported, "the CA has no profile "+clean(profile)+", but "+clean(strings.Join(offers, ", ")))
}

func (c *Client) newOrder(ctx context.Context, s *session, o *Order) error {
	want := acmez.Order{Profile: o.Profile, Replaces: o.Replaces}
	for _, n := range o.Names {
		want.Identifiers = append(want.Identifiers, acmez.Identifier{Type: "dns", Value: n})
	}
	callCtx, k := c.call(ctx, true)
	got, err := s.lib.NewOrder(callCtx, c.signer(o.Account), want)
	if err != nil {
		e := c.refused(ctx, k, StepOrder, err)
		if o.Replaces != "" && mayBeForReplacing(k, e) {
			o.Replaces, o.NotReplaced = "", e.Type
			return c.newOrder(ctx, s, o)
		}
		return e
	}
	if detail := checkNewOrder(got, o.Names); detail != "" {
		return &Error{Step: StepOrder, Type: TypeBadAnswer, Status: k.status, Detail: detail, Retry: true}
	}
	now := c.now()
	o.URL, o.Finalize, o.State, o.Began, o.Since = got.Location, got.Finalize, Begun, now, now
	for _, u := range got.Authorizations {
		o.Authorizations = append(o.Authorizations, Authorization{URL: u})
	}
	return nil
}

// mayBeForReplacing says that an order could have been refused for the certificate it replaces. CAs say so in several
// ways: alreadyReplaced, or that they don't know it, or that it is another account's.
func mayBeForReplacing(k *call, e *Error) bool {
	if k.problem == nil || k.status == http.StatusTooManyRequests || k.status == http.StatusServiceUnavailable {
		return false
	}
	return !slices.Contains([]string{"rateLimited", "badNonce", "accountDoesNotExist", "userActionRequired"}, e.Type)
}

// checkNewOrder says what is wrong with what the CA made of an order, empty for nothing.
func checkNewOrder(got acmez.Order, names []string) string {
	urls := append([]string{got.Location, got.Finalize}, got.Authorizations...)
	if len(got.Authorizations) == 0 || len(got.Authorizations) > 2*maxNames {
		return fmt.Sprintf("the order has %d authorizations", len(got.Authorizations))
	}
	for _, u := range urls {
		if checkURL(u) != nil {
			return "one of the order's addresses is no https URL"
		}
	}
	var theirs []string
	for _, id := range got.Identifiers {
		theirs = append(theirs, strings.ToLower(id.Value))
	}
	slices.Sort(theirs)
	if !slices.Equal(theirs, slices.Sorted(slices.Values(names))) {
		return "the order has other names than were asked for"
	}
	return ""
}
