package acme

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	acmez "github.com/mholt/acmez/v3/acme"
)

// look asks for authorization i.
func (w work) look(ctx context.Context, step Step, i int) (acmez.Authorization, *call, error) {
	callCtx, k := w.c.call(ctx, false)
	got, err := w.s.lib.GetAuthorization(callCtx, w.signer(), w.o.Authorizations[i].URL)
	if err != nil {
		return got, k, w.named(w.c.refused(ctx, k, step, err, w.secrets...), i)
	}
	return got, k, nil
}

// named says which name an error is about, if that is known.
func (w work) named(e *Error, i int) *Error {
	if name := w.o.Authorizations[i].Name; name != "" && len(e.Names) == 0 {
		e.Names = []NameError{{Name: name, Type: e.Type}}
	}
	return e
}

// read learns what the CA wants proven.
func (w work) read(ctx context.Context) error {
	err := each(len(w.o.Authorizations), func(i int) error {
		if w.o.Authorizations[i].Name != "" {
			return nil
		}
		got, _, err := w.look(ctx, StepAuthorization, i)
		if err != nil {
			return err
		}
		return w.note(i, got)
	})
	if err != nil {
		return err
	}
	if missing := w.unasked(); missing != "" {
		return over(&Error{Step: StepAuthorization, Type: TypeBadAnswer, Detail: "the CA has no authorization for " + missing, Retry: true})
	}
	if len(w.o.Challenges()) == 0 {
		w.o.to(Validating, w.c.now())
		return nil
	}
	w.o.to(Presenting, w.c.now())
	return nil
}

// note takes an authorization that was read for the first time.
func (w work) note(i int, got acmez.Authorization) error {
	name := strings.ToLower(got.IdentifierValue())
	if !slices.Contains(w.o.Names, name) {
		return over(&Error{Step: StepAuthorization, Type: TypeBadAnswer, Detail: "the CA asks for the name " + clean(name) + ", which is not ordered", Retry: true})
	}
	a := Authorization{URL: w.o.Authorizations[i].URL, Name: name, State: got.Status}
	switch got.Status {
	case acmez.StatusValid:
	case acmez.StatusPending:
		at := slices.IndexFunc(got.Challenges, func(ch acmez.Challenge) bool { return ch.Type == string(w.o.Challenge) })
		if at < 0 {
			return over(unoffered(name, w.o.Challenge, got.Challenges))
		}
		ch := got.Challenges[at]
		if !isToken(ch.Token) || checkURL(ch.URL) != nil {
			return over(&Error{Step: StepAuthorization, Type: TypeBadAnswer, Detail: "the challenge for " + name + " has no token or no https URL", Retry: true})
		}
		a.ChallengeURL, a.Token, a.KeyAuthorization = ch.URL, ch.Token, ch.Token+"."+w.c.print
		a.Answered = ch.Status != acmez.StatusPending
	default:
		e := &Error{Step: StepAuthorization, Type: TypeNotFound, Retry: true}
		e.Names = []NameError{{Name: name, Type: e.Type, Detail: "the authorization is " + clean(got.Status)}}
		return over(e)
	}
	w.o.Authorizations[i] = a
	return nil
}

func unoffered(name string, want ChallengeType, have []acmez.Challenge) *Error {
	var offers []string
	for _, ch := range have {
		offers = append(offers, clean(ch.Type))
	}
	slices.Sort(offers)
	detail := fmt.Sprintf("the CA does not offer %s, but %s", want, clean(strings.Join(offers, ", ")))
	return &Error{Step: StepAuthorization, Type: TypeUnsupported, Names: []NameError{{Name: name, Type: TypeUnsupported, Detail: detail}}}
}

// isToken says that a token is one of RFC 8555, 8.1: it becomes part of a path, and of a map of HAProxy's.
func isToken(t string) bool {
	return t != "" && len(t) <= 256 && strings.IndexFunc(t, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) < 0
}

// unasked gives a name for which the CA wants nothing proven.
func (w work) unasked() string {
	for _, n := range w.o.Names {
		if !slices.ContainsFunc(w.o.Authorizations, func(a Authorization) bool { return a.Name == n }) {
			return n
		}
	}
	return ""
}

// answer tells the CA that it may look. Should it say that it has been told before, that is seen by looking.
func (w work) answer(ctx context.Context) error {
	err := each(len(w.o.Authorizations), func(i int) error {
		a := &w.o.Authorizations[i]
		if a.State != acmez.StatusPending || a.Answered {
			return nil
		}
		callCtx, k := w.c.call(ctx, true)
		_, err := w.s.lib.InitiateChallenge(callCtx, w.signer(), acmez.Challenge{URL: a.ChallengeURL})
		if err != nil {
			e := w.named(w.c.refused(ctx, k, StepChallenge, err, w.secrets...), i)
			if !e.over || !w.underWay(ctx, i) {
				return e
			}
		}
		a.Answered = true
		return nil
	})
	if err != nil {
		return err
	}
	w.o.to(Validating, w.c.now())
	return w.again(StepValidation, nil, "")
}

// underWay says that a challenge was answered before, by somebody who came to no end.
func (w work) underWay(ctx context.Context, i int) bool {
	got, _, err := w.look(ctx, StepChallenge, i)
	if err != nil {
		return false
	}
	at := slices.IndexFunc(got.Challenges, func(ch acmez.Challenge) bool { return ch.URL == w.o.Authorizations[i].ChallengeURL })
	return got.Status != acmez.StatusPending || at >= 0 && got.Challenges[at].Status != acmez.StatusPending
}

// validate looks at what the CA has found.
func (w work) validate(ctx context.Context) error {
	var mu sync.Mutex
	var slowest *call
	err := each(len(w.o.Authorizations), func(i int) error {
		if w.o.Authorizations[i].State != acmez.StatusPending {
			return nil
		}
		got, k, err := w.look(ctx, StepValidation, i)
		if err != nil {
			return err
		}
		w.found(i, got)
		mu.Lock()
		defer mu.Unlock()
		if slowest == nil || k.retryAfter.After(slowest.retryAfter) {
			slowest = k
		}
		return nil
	})
	if err != nil {
		return err
	}
	var failed []NameError
	var pending []string
	for _, a := range w.o.Authorizations {
		switch {
		case a.Failure != nil:
			failed = append(failed, *a.Failure)
		case a.State == acmez.StatusPending:
			pending = append(pending, a.Name)
		}
	}
	now := w.c.now()
	switch {
	case len(failed) > 0 && (len(pending) == 0 || !w.o.Refused.IsZero() && now.Sub(w.o.Refused) > settle):
		return over(refusedNames(failed))
	case len(pending) > 0:
		if len(failed) > 0 && w.o.Refused.IsZero() {
			w.o.Refused = now
		}
		return w.again(StepValidation, slowest, "the CA has not looked at "+first(pending))
	}
	return w.process(ctx)
}

func first(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return fmt.Sprintf("%s and %d more", names[0], len(names)-1)
}

// found takes what an authorization has come to.
func (w work) found(i int, got acmez.Authorization) {
	a := &w.o.Authorizations[i]
	a.State = clean(got.Status)
	if got.Status == acmez.StatusPending || got.Status == acmez.StatusValid {
		return
	}
	a.Failure = &NameError{Name: a.Name, Type: TypeNotFound, Detail: "the authorization is " + a.State}
	for _, ch := range got.Challenges {
		if ch.Error != nil {
			p := problem(StepValidation, ch.Error, 0, w.secrets)
			a.Failure.Type, a.Failure.Detail = p.Type, p.Detail
			return
		}
	}
}

// refusedNames makes one Error of all names that were not proven. It has the type that they share, else compound.
func refusedNames(failed []NameError) *Error {
	sortNames(failed)
	e := &Error{Step: StepValidation, Type: failed[0].Type, Names: failed}
	for _, n := range failed {
		if n.Type != e.Type {
			e.Type = "compound"
		}
		e.Retry = e.Retry || passes(n.Type, 0)
	}
	return e
}

// tidy gives up what the CA still waits for, so that it does not count against the account, and leaves what was proven.
func (w work) tidy(ctx context.Context) error {
	err := each(len(w.o.Authorizations), func(i int) error {
		a := &w.o.Authorizations[i]
		if a.State != acmez.StatusPending && a.State != "" {
			return nil
		}
		got, _, err := w.look(ctx, StepTidy, i)
		if err == nil && got.Status == acmez.StatusPending {
			callCtx, k := w.c.call(ctx, true)
			if _, err = w.s.lib.DeactivateAuthorization(callCtx, w.signer(), a.URL); err != nil {
				err = w.named(w.c.refused(ctx, k, StepTidy, err, w.secrets...), i)
			}
			got.Status = acmez.StatusDeactivated
		}
		if e, ok := err.(*Error); ok && !e.over {
			return err
		}
		// What the CA has forgotten is as good as given up.
		a.State = clean(got.Status)
		if a.State == "" || a.State == acmez.StatusPending {
			a.State = acmez.StatusExpired
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.o.to(Closed, w.c.now())
	return nil
}
