package acme

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	acmez "github.com/mholt/acmez/v3/acme"
)

const (
	// maxPoll bounds the pause between two looks when the CA does not say.
	maxPoll = 15 * time.Second
	// maxTrouble bounds the pause after a failure that leaves the order as it is.
	maxTrouble = 5 * time.Minute
	// settle is how long the other names of an order are given once one was refused: what is proven then need not be
	// proven by the next order, and all that fail are named at once.
	settle = 30 * time.Second
	// patience is how long a CA may be at it before an order is given up.
	patience = 2 * time.Hour
)

// Advance does what is due next for an order and gives it as it is then, whether it went well or not; the caller keeps
// it before anything else. Before o.Next, when it waits for the caller and when it is finished it does nothing. The key
// is the certificate's; from Ready on it must be the same each time.
func (c *Client) Advance(ctx context.Context, o Order, key crypto.Signer) (Order, error) {
	if err := o.check(); err != nil {
		return o, local(StepOrder, TypeBadInput, err.Error())
	}
	if o.Finished() || o.State == Presenting || c.early(o) {
		return o, nil
	}
	o = o.clone()
	if err := c.advance(ctx, &o, key); err != nil {
		err = c.trouble(&o, err)
		return o, err
	}
	o.Trouble = nil
	return o, nil
}

// early says that it is not time yet.
func (c *Client) early(o Order) bool {
	now := c.now()
	return o.Due(now).After(now)
}

// trouble notes in an order what failed.
func (c *Client) trouble(o *Order, err error) error {
	var e *Error
	switch {
	case !errors.As(err, &e):
		return err
	case o.State == Closed:
	case o.State == Failed && c.now().Sub(o.Since) > patience:
		o.to(Closed, c.now()) // what is pending runs out by itself
	case o.State == Failed:
		o.Trouble = e
	case e.over:
		o.fail(e, c.now())
	default:
		o.Trouble = e
	}
	if o.Trouble != nil {
		o.Next = c.now().Add(min(c.opts.Poll<<min(o.Looks, 20), maxTrouble))
		o.Looks++
		if e.NotBefore.After(o.Next) {
			o.Next = e.NotBefore
		}
	}
	return e
}

func (c *Client) advance(ctx context.Context, o *Order, key crypto.Signer) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	account, err := c.Account(ctx)
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.over = false // the order may be well all the same, once the account is
		}
		return err
	}
	if o.Directory != c.opts.Directory || o.Account != account.URL {
		e := local(StepOrder, TypeOtherAccount, "the order was made by another account: begin anew")
		e.Retry = true
		o.fail(e, c.now())
		o.to(Closed, c.now()) // what another account has pending is not ours to give up
		return e
	}
	w := work{c: c, s: s, o: o, secrets: append(o.secrets(), c.print)}
	switch o.State {
	case Begun:
		return w.read(ctx)
	case Answering:
		return w.answer(ctx)
	case Validating:
		return w.validate(ctx)
	case Ready:
		return w.finalize(ctx, key)
	case Processing:
		return w.process(ctx)
	case Issued:
		return w.download(ctx, key)
	default:
		return w.tidy(ctx)
	}
}

// work is one Advance.
type work struct {
	c *Client
	s *session
	o *Order
	// secrets are kept out of messages. They are noted beforehand, since authorizations are worked on side by side.
	secrets []string
}

func (w work) signer() acmez.Account { return w.c.signer(w.o.Account) }

// over ends the order: what the CA says does not change by asking again.
func over(e *Error) *Error {
	e.over = true
	return e
}

// finalize asks for the certificate. Should an answer have been lost before, the CA says that the order is not ready,
// and it is looked at.
func (w work) finalize(ctx context.Context, key crypto.Signer) error {
	if key == nil {
		e := local(StepFinalize, TypeBadInput, "there is no key for the certificate")
		e.over = false
		return e
	}
	csr, err := request(w.o.Names, key)
	if err != nil {
		return local(StepFinalize, TypeBadInput, "the key cannot sign the request for a certificate")
	}
	callCtx, k := w.c.call(ctx, true)
	got, err := w.s.lib.FinalizeOrder(callCtx, w.signer(), acmez.Order{Location: w.o.URL, Finalize: w.o.Finalize}, csr)
	switch {
	case k.is("orderNotReady"):
		return w.process(ctx)
	case k.err != nil || k.status < 200 || k.status >= 300 || got.Status == "":
		return w.c.refused(ctx, k, StepFinalize, err, w.secrets...)
	}
	return w.take(StepFinalize, got, k)
}

// process looks at the order.
func (w work) process(ctx context.Context) error {
	callCtx, k := w.c.call(ctx, false)
	got, err := w.s.lib.GetOrder(callCtx, w.signer(), acmez.Order{Location: w.o.URL})
	if err != nil {
		return w.c.refused(ctx, k, StepFinalize, err, w.secrets...)
	}
	return w.take(StepFinalize, got, k)
}

// take brings the order to where the CA says that it is.
func (w work) take(step Step, got acmez.Order, k *call) error {
	now := w.c.now()
	switch got.Status {
	case acmez.StatusPending:
		w.o.to(Validating, now)
		return w.again(step, k, "the CA still takes the order for pending")
	case acmez.StatusReady:
		w.o.to(Ready, now)
		return nil
	case acmez.StatusProcessing:
		w.o.to(Processing, now)
		return w.again(step, k, "the CA has not made the certificate yet")
	case acmez.StatusValid:
		if checkURL(got.Certificate) != nil {
			return &Error{Step: step, Type: TypeBadAnswer, Status: k.status, Detail: "the order is valid, and its certificate has no https URL", Retry: true}
		}
		w.o.Certificate = got.Certificate
		w.o.to(Issued, now)
		return nil
	case acmez.StatusInvalid:
		if got.Error != nil {
			return over(problem(step, got.Error, 0, w.secrets))
		}
		return over(&Error{Step: step, Type: TypeNotFound, Detail: "the CA says that the order is invalid, and not why", Retry: true})
	}
	return &Error{Step: step, Type: TypeBadAnswer, Status: k.status, Detail: "the order is " + clean(got.Status), Retry: true}
}

// again waits for the CA: as long as it asks for, else a little longer each time.
func (w work) again(step Step, k *call, why string) error {
	now := w.c.now()
	if waited := now.Sub(w.o.Since); waited > patience {
		e := &Error{Step: step, Type: TypeTimeout, Detail: fmt.Sprintf("%s after %s", why, waited.Round(time.Minute)), Retry: true}
		return over(e)
	}
	pause := min(w.c.opts.Poll<<min(w.o.Looks, 20), maxPoll)
	w.o.Looks++
	w.o.Next = now.Add(pause)
	if k != nil && k.retryAfter.After(w.o.Next) {
		w.o.Next = k.retryAfter
	}
	return nil
}

// download gets the chain and checks it.
func (w work) download(ctx context.Context, key crypto.Signer) error {
	if key == nil {
		e := local(StepCertificate, TypeBadInput, "there is no key to hold the certificate against")
		e.over = false
		return e
	}
	callCtx, k := w.c.call(ctx, false)
	got, err := w.s.lib.GetCertificateChain(callCtx, w.signer(), w.o.Certificate)
	if err != nil || len(got) == 0 {
		return w.c.refused(ctx, k, StepCertificate, err, w.secrets...)
	}
	chain, err := parseChain(got[0].ChainPEM)
	if err != nil {
		return w.nonsense(StepCertificate, k, clean(err.Error()))
	}
	if detail := checkChain(chain, w.o.Names, key.Public()); detail != "" {
		return over(&Error{Step: StepCertificate, Type: TypeBadChain, Status: k.status, Detail: detail, Retry: true})
	}
	w.o.Chain = encodeChain(chain)
	w.o.to(Done, w.c.now())
	return nil
}

// nonsense is an answer that may be better next time, until patience ends.
func (w work) nonsense(step Step, k *call, detail string) error {
	e := &Error{Step: step, Type: TypeBadAnswer, Status: k.status, Detail: detail, Retry: true}
	e.over = w.c.now().Sub(w.o.Since) > patience
	return e
}
