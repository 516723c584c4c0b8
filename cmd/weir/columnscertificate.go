package main

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir"
)

// certificateTable shows what ends first at the top: that is what people look for.
var certificateTable = kindTable{
	columns: []column{{title: "NAMES", shrinks: true}, {title: "ISSUER", shrinks: true, optional: true}, {title: "DAYS LEFT", right: true}, {title: "RENEWS"}, {title: "SERVED"}, {title: "USED BY", shrinks: true}, {title: "KEY", optional: true}},
	cells:   certificateCells,
	order: func(a, b *object) int {
		return cmp.Or(endOf(a).Compare(endOf(b)), cmp.Compare(a.Metadata.Name, b.Metadata.Name))
	},
}

// endOf is when a certificate ends; the beginning of time while there is none yet, or when one was revoked that something
// uses still; the end of it when nothing uses it.
func endOf(o *object) time.Time {
	spec := o.Spec.(*weir.Certificate)
	switch {
	case spec.Revoked != nil && o.Status != nil && o.Status.Certificate != nil && o.Status.Certificate.Uses > 0:
		return time.Time{}
	case spec.Revoked != nil:
		return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	case spec.Info == nil:
		return time.Time{}
	}
	return spec.Info.NotAfter
}

func certificateCells(f *facts, o *object) []cell {
	spec, now := o.Spec.(*weir.Certificate), f.client.now()
	names, key, issuer := spec.Names, strings.ToUpper(strings.ReplaceAll(spec.KeyType, "-", " ")), spec.Issuer
	if spec.Info != nil {
		names, key = spec.Info.Names, spec.Info.KeyType
		if issuer == "" {
			issuer = spec.Info.Issuer
		}
	}
	if !spec.HasKey() {
		key = "authority"
	}
	return []cell{{text: brief(names, 2)}, {text: issuer}, daysLeft(spec, now), renewsCell(o, now), programmed(o), {text: brief(usersOf(o), 2)}, {text: key}}
}

func daysLeft(spec *weir.Certificate, now time.Time) cell {
	switch {
	case spec.Revoked != nil:
		return cell{"REVOKED", bad}
	case spec.Info == nil:
		return cell{"none yet", warning}
	case !now.Before(spec.Info.NotAfter):
		return cell{"EXPIRED", bad}
	}
	left := spec.Info.NotAfter.Sub(now)
	soon, now30 := 7*24*time.Hour, 30*24*time.Hour
	if spec.Issuer != "" { // which renews when a third is left, however long that is
		life := spec.Info.NotAfter.Sub(spec.Info.NotBefore)
		soon, now30 = life/6, life/4
	}
	c := cell{strconv.Itoa(int(left.Hours() / 24)), good}
	switch {
	case left < soon:
		c.tone = bad
	case left < now30:
		c.tone = warning
	}
	return c
}

// renewsCell says when the next certificate is ordered, or how it goes.
func renewsCell(o *object, now time.Time) cell {
	if o.Spec.(*weir.Certificate).Issuer == "" {
		return cell{"by hand", faint}
	}
	if o.Status == nil || o.Status.Certificate == nil || o.Status.Certificate.Renewal == nil {
		return cell{}
	}
	switch r := o.Status.Certificate.Renewal; r.State {
	case weir.RenewalScheduled:
		return cell{text: "in " + roughly(r.At.Sub(now))}
	case weir.RenewalDue:
		return cell{"now", warning}
	case weir.RenewalOrdering:
		return cell{"now: ordered", warning}
	case weir.RenewalWaiting:
		return cell{"in " + roughly(r.At.Sub(now)) + ": limit", warning}
	case weir.RenewalFailing:
		when := "now"
		if r.At.After(now) {
			when = "in " + roughly(r.At.Sub(now))
		}
		return cell{fmt.Sprintf("try %d %s", r.Failures+1, when), bad}
	case weir.RenewalStuck:
		return cell{"no issuer", bad}
	}
	return cell{"no", faint}
}

// roughly gives a length of time in whole days, or in hours and minutes, or in seconds, when it is short.
func roughly(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	case d < time.Minute:
		return span(d)
	}
	return span(d.Truncate(time.Minute))
}

// usersOf names what uses a certificate: sites by their names, other objects with their kind.
func usersOf(o *object) []string {
	if o.Status == nil || o.Status.Certificate == nil {
		return nil
	}
	s := o.Status.Certificate
	var names []string
	for _, user := range s.UsedBy {
		names = append(names, strings.TrimPrefix(user, "Site/"))
	}
	for len(names) < s.Uses { // which are more than the control plane names
		names = append(names, "")
	}
	return names
}

var issuerTable = kindTable{
	columns: []column{{title: "TYPE"}, {title: "ISSUES BY", shrinks: true}, {title: "CERTIFICATES"}, {title: "BUDGET LEFT"}, {title: "NEXT"}, {title: "LAST ERROR", shrinks: true}, {title: "CHALLENGE", optional: true}, {title: "DEFAULT", optional: true}, {title: "ROLES", shrinks: true, optional: true}},
	cells:   issuerCells,
}

func issuerCells(f *facts, o *object) []cell {
	spec, now := o.Spec.(*weir.Issuer), f.client.now()
	by, challenge, isDefault, roles := "", "", "", "every role"
	if spec.ACME != nil {
		by, challenge = spec.ACME.Directory, spec.ACME.Challenge
		if u, err := url.Parse(by); err == nil && u.Host != "" {
			by = u.Host // the whole of it is in describe
		}
	}
	if spec.CA != nil {
		by = spec.CA.CommonName
	}
	if spec.Default {
		isDefault = "yes"
	}
	if len(spec.Roles) > 0 {
		roles = strings.Join(spec.Roles, ",")
	}
	s := &weir.IssuerStatus{}
	if o.Status != nil && o.Status.Issuer != nil {
		s = o.Status.Issuer
	}
	next := cell{}
	if !s.Next.IsZero() {
		next.text = "in " + roughly(s.Next.Sub(now))
	}
	failed := cell{}
	if s.Error != "" {
		failed = cell{ago(s.FailedAt, now) + ": " + s.Error, bad}
	}
	return []cell{{text: spec.Type}, {text: by}, issuerCount(s), budgetCell(s.Budgets), next, failed, {text: challenge}, {text: isDefault}, {text: roles}}
}

// issuerCount counts an issuer's certificates, and those of which the next can't be had.
func issuerCount(s *weir.IssuerStatus) cell {
	all := 0
	for _, n := range s.Certificates {
		all += n
	}
	c := cell{text: strconv.Itoa(all)}
	if n := s.Certificates[weir.RenewalFailing] + s.Certificates[weir.RenewalStuck]; n > 0 {
		c = cell{fmt.Sprintf("%d, %d failing", all, n), bad}
	}
	return c
}

// budgetCell shows the limit of which least is left.
func budgetCell(list []weir.IssuerBudget) cell {
	if len(list) == 0 {
		return cell{}
	}
	left := func(b weir.IssuerBudget) int { return max(0, b.Of-b.Used) }
	least := slices.MinFunc(list, func(a, b weir.IssuerBudget) int { return cmp.Compare(left(a)*b.Of, left(b)*a.Of) })
	c := cell{fmt.Sprintf("%d of %d", left(least), least.Of), good}
	switch {
	case left(least) == 0:
		c.tone = bad
	case left(least)*10 < least.Of:
		c.tone = warning
	}
	return c
}
