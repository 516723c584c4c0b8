package acme

import (
	"maps"
	"slices"
	"time"
)

// Use is how much of a limit is spent: of one that counts by names or domains, where most is.
type Use struct {
	Limit
	Spent int
	// By is the domain or name where most is spent; empty for the account, and for sets of names.
	By string
	// Free is when the limit allows something again there, and zero when it does now.
	Free time.Time
}

// Uses gives how much of each limit is spent.
func (b Budget) Uses(now time.Time, limits []Limit) []Use {
	out := make([]Use, len(limits))
	for i, l := range limits {
		out[i].Limit = l
		spent := b.spent[l.id()]
		for _, key := range slices.Sorted(maps.Keys(spent)) {
			left := l.counts(spent[key], now)
			if len(left) <= out[i].Spent {
				continue
			}
			out[i].Spent, out[i].By, out[i].Free = len(left), key, time.Time{}
			if l.Scope == PerNames {
				out[i].By = "" // a digest
			}
			if at := l.free(spent[key], now); at.After(now) {
				out[i].Free = at
			}
		}
	}
	return out
}

// String says what a limit counts, such as "orders in 3h" or "orders in 7 days by domain".
func (l Limit) String() string {
	of := "orders"
	if l.Scope == PerFailure {
		of = "refusals"
	}
	text := of + " in " + span(l.Per)
	switch l.Scope {
	case PerDomain:
		return text + " by domain"
	case PerNames:
		return text + " by names"
	case PerFailure:
		return text + " by name"
	}
	return text
}
