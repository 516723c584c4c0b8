package acme

import (
	"context"
	"encoding/base64"
	"net/mail"
	"slices"
	"strings"

	acmez "github.com/mholt/acmez/v3/acme"
)

// Account is what is known of an account; none of it is secret.
type Account struct {
	// URL is the account's name at the CA.
	URL string `json:"url"`
	// Contact are the addresses that the CA was told last, sorted.
	Contact []string `json:"contact,omitempty"`
}

// Account finds the account by its key, registers it when the CA has none, and tells the CA of contacts that have
// changed. It asks once; Options.Known spares even that. An account that is not valid any more is TypeDeactivated. To
// register one is to agree to the CA's terms of service. An account that has contacts keeps at least the last.
func (c *Client) Account(ctx context.Context) (Account, error) {
	s, err := c.open(ctx)
	if err != nil {
		return Account{}, err
	}
	a, err := c.account.get(ctx,
		func(*Account) bool { return true },
		func(*Account, bool) (*Account, error) { return c.findAccount(ctx, s) })
	if err != nil {
		if ctx.Err() != nil {
			return Account{}, &Error{Step: StepAccount, Type: TypeCanceled, Detail: "stopped while the CA was asked", Retry: true}
		}
		return Account{}, err
	}
	return Account{URL: a.URL, Contact: slices.Clone(a.Contact)}, nil
}

func (c *Client) findAccount(ctx context.Context, s *session) (*Account, error) {
	found := c.opts.Known
	if found == nil || c.lost.Load() {
		var err error
		if found, err = c.askAccount(ctx, s); err != nil {
			return nil, err
		}
	}
	if err := checkURL(found.URL); err != nil {
		return nil, &Error{Step: StepAccount, Type: TypeBadAnswer, Detail: "the CA gives the account no address", Retry: true}
	}
	if len(c.contact) == 0 || slices.Equal(c.contact, found.Contact) {
		return found, nil
	}
	return c.updateAccount(ctx, s, found)
}

// askAccount looks the key up, and registers it when the CA does not know it.
func (c *Client) askAccount(ctx context.Context, s *session) (*Account, error) {
	ctx, k := c.call(ctx, false)
	got, err := s.lib.GetAccount(ctx, acmez.Account{PrivateKey: c.opts.Key})
	if err != nil && k.is("accountDoesNotExist") {
		return c.register(ctx, s)
	}
	return c.known(ctx, k, got, err)
}

func (c *Client) register(ctx context.Context, s *session) (*Account, error) {
	a := acmez.Account{PrivateKey: c.opts.Key, Contact: c.contact, TermsOfServiceAgreed: true}
	if x := c.opts.External; x != nil {
		eab := acmez.EAB{KeyID: x.KeyID, MACKey: base64.RawURLEncoding.EncodeToString(x.Key)}
		if err := a.SetExternalAccountBinding(ctx, s.lib, eab); err != nil {
			return nil, local(StepAccount, TypeBadInput, "the external account's key cannot sign")
		}
	} else if m := s.dir.Meta; m != nil && m.ExternalAccountRequired {
		return nil, local(StepAccount, "externalAccountRequired", "the CA registers no account without an external one: give a key ID and a key")
	}
	ctx, k := c.call(ctx, false) // registering twice finds it
	got, err := s.lib.NewAccount(ctx, a)
	if err != nil && k.is("unauthorized") { // there was no account a moment ago, so it is about the external one
		e := k.failed(ctx, StepAccount, err)
		e.Retry = false
		return nil, e
	}
	found, err := c.known(ctx, k, got, err)
	if err == nil {
		found.Contact = c.contact
	}
	return found, err
}

// known judges what the CA says of an account.
func (c *Client) known(ctx context.Context, k *call, got acmez.Account, err error) (*Account, error) {
	switch {
	case err != nil && k.is("unauthorized"):
		e := k.failed(ctx, StepAccount, err)
		e.Type, e.Retry = TypeDeactivated, false
		return nil, e
	case err != nil:
		return nil, k.failed(ctx, StepAccount, err)
	case got.Status != acmez.StatusValid && got.Status != "":
		return nil, local(StepAccount, TypeDeactivated, "the CA says that the account is "+clean(got.Status)+": it needs another key")
	}
	slices.Sort(got.Contact)
	return &Account{URL: got.Location, Contact: got.Contact}, nil
}

func (c *Client) updateAccount(ctx context.Context, s *session, found *Account) (*Account, error) {
	ctx, k := c.call(ctx, false)
	got, err := s.lib.UpdateAccount(ctx, acmez.Account{Location: found.URL, Contact: c.contact, PrivateKey: c.opts.Key})
	if _, err := c.known(ctx, k, got, err); err != nil {
		return nil, err
	}
	return &Account{URL: found.URL, Contact: c.contact}, nil
}

// signer is how the library wants to be told who asks.
func (c *Client) signer(url string) acmez.Account {
	return acmez.Account{Location: url, PrivateKey: c.opts.Key}
}

// refused makes an Error of a call for the account. When it can be that the account is not what it was, it is looked for
// anew next time, and what has become of it is said then.
func (c *Client) refused(ctx context.Context, k *call, step Step, err error, secrets ...string) *Error {
	e := k.failed(ctx, step, err, append(slices.Clone(secrets), c.print)...)
	if e.Type == "accountDoesNotExist" || e.Type == "unauthorized" {
		c.lost.Store(true)
		c.account.forget()
		e.Retry = true
	}
	return e
}

// contacts gives addresses in the form of RFC 8555, sorted.
func contacts(given []string) ([]string, error) {
	var out []string
	for _, text := range given {
		bare := strings.TrimPrefix(text, "mailto:")
		a, err := mail.ParseAddress(bare)
		if err != nil || a.Address != bare || strings.ContainsAny(bare, "?,") {
			return nil, local(StepAccount, TypeBadInput, "contact "+clean(text)+" is no plain mail address")
		}
		out = append(out, "mailto:"+bare)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
