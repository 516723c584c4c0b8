package certs

import (
	"encoding/json"
	"fmt"
	"time"

	"weir"
	"weir/internal/acme"
)

// Outlook says how it stands with the next certificate of an issuer: Progress as data.
func Outlook(name string, spec *weir.Certificate, issuer *weir.Issuer, r *Record, now time.Time) weir.Renewal {
	out := weir.Renewal{State: weir.RenewalNone, IssuedAt: r.At}
	if r.Serial == "" || r.Serial != serialOf(spec) {
		out.IssuedAt = time.Time{}
	}
	if issuer == nil || issuer.KeyRef == nil {
		out.State, out.Why = weir.RenewalStuck, fmt.Sprintf("Issuer/%s is not there", spec.Issuer)
		return out
	}
	task, at, _ := Due(name, spec, issuer, r, now)
	why, due := wanted(name, spec, r, now)
	if out.Why = why; !due.Equal(now) { // of what is wanted at once it is not known since when
		out.Due = due
	}
	if out.Failures = r.Retries.Failures; out.Failures > 0 {
		out.Error = r.Failure
	}
	switch {
	case r.Order != nil:
		out.State, out.Why, out.Error = weir.RenewalOrdering, orderWords(r.Order), r.Failure
	case out.Failures > 0 && r.Failure != "" && why != "" && r.Retries.Of == Digest(spec, issuer):
		out.State = weir.RenewalFailing
		if at := later(due, r.Retries.Next(now, name, r.Retries.Of)); at.After(now) {
			out.At = at
		}
	case !r.Unwanted.IsZero():
		out.Why = unwantedText(r)
	case why == "":
	case r.Waits != "" && r.WaitsTo.After(now) && task == Order && at.After(now):
		out.State, out.At, out.Why = weir.RenewalWaiting, r.WaitsTo, r.Waits
	case due.After(now):
		out.State, out.At = weir.RenewalScheduled, due
	default:
		out.State = weir.RenewalDue
	}
	return out
}

// AccountPrefix begins the names of what is kept of issuers' accounts among the values of the platform.
const AccountPrefix = accountPrefix

// Account is what is kept of an issuer's account, to be looked at.
type Account struct{ kept account }

// ReadAccount reads a value whose name begins with AccountPrefix.
func ReadAccount(raw []byte) (*Account, error) {
	a := &Account{}
	if err := json.Unmarshal(raw, &a.kept); err != nil {
		return nil, fmt.Errorf("read what is kept of an account: %w", err)
	}
	return a, nil
}

// Budgets gives the limits on what is ordered of an issuer, and what is used of them; of a nil account nothing is.
func (a *Account) Budgets(spec *weir.Issuer, now time.Time) []weir.IssuerBudget {
	if spec.ACME == nil {
		return nil
	}
	spent := acme.Budget{}
	if a != nil {
		spent = a.kept.Budget
	}
	var list []weir.IssuerBudget
	for _, u := range spent.Uses(now, limitsOf(spec.ACME)) {
		list = append(list, weir.IssuerBudget{Limit: u.Limit.String(), Of: u.Count, Used: u.Spent, By: u.By, Free: u.Free})
	}
	return list
}
