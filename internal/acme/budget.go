package acme

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Scope says what a Limit counts, and by what.
type Scope string

// The scopes of limits.
const (
	PerAccount Scope = "account" // orders
	PerNames   Scope = "names"   // orders of the same set of names
	PerDomain  Scope = "domain"  // orders with a name below the same registered domain
	PerFailure Scope = "failure" // refusals of the same name
)

// Purpose says what an order is for, since CAs count some and others not.
type Purpose string

// The purposes of orders.
const (
	Fresh     Purpose = "fresh"     // names that had no certificate of this CA's
	Renewing  Purpose = "renewing"  // the same names once more
	Replacing Purpose = "replacing" // the same, and the CA took note of what it replaces (ARI)
)

// Limit is so many in any stretch of time so long.
type Limit struct {
	Scope Scope         `json:"scope"`
	Count int           `json:"count"`
	Per   time.Duration `json:"per"`
	// Except are purposes that do not count and are not held up.
	Except []Purpose `json:"except,omitempty"`
}

// LetsEncrypt gives the limits that Let's Encrypt publishes at https://letsencrypt.org/docs/rate-limits/ (of 12 June
// 2025, as it stood in May 2026). It refills a bucket bit by bit; never more than Count in any Per stays within that. A
// renewal with replaces is exempt from all of them, one of the same names without it from two.
func LetsEncrypt() []Limit {
	return []Limit{
		{Scope: PerAccount, Count: 300, Per: 3 * time.Hour, Except: []Purpose{Renewing, Replacing}},
		{Scope: PerDomain, Count: 50, Per: 7 * 24 * time.Hour, Except: []Purpose{Renewing, Replacing}},
		{Scope: PerNames, Count: 5, Per: 7 * 24 * time.Hour, Except: []Purpose{Replacing}},
		{Scope: PerFailure, Count: 5, Per: time.Hour, Except: []Purpose{Replacing}},
	}
}

// Budget is what has been spent of a CA's limits by one account. It is data: pure functions of it and of the time that
// the caller gives, kept by the caller, and the same in whichever process. Its zero value has spent nothing.
type Budget struct {
	// spent has, by limit and what it counts by, when something was spent in seconds since 1970, in ascending order.
	spent map[string]map[string][]int64
}

// Next says when an order of these names is within all limits, now if it is at once, and what it waits for otherwise.
// It spends nothing.
func (b Budget) Next(now time.Time, limits []Limit, names []string, purpose Purpose) (when time.Time, why string) {
	when = now
	for _, l := range limits {
		if slices.Contains(l.Except, purpose) {
			continue
		}
		for _, by := range l.keys(names) {
			if at := l.free(b.spent[l.id()][by.key], now); at.After(when) {
				when, why = at, l.why(by.what)
			}
		}
	}
	return when, why
}

// Spend gives the budget after an order that was begun.
func (b Budget) Spend(now time.Time, limits []Limit, names []string, purpose Purpose) Budget {
	return b.add(now, limits, func(l Limit) []counted {
		if l.Scope == PerFailure || slices.Contains(l.Except, purpose) {
			return nil
		}
		return l.keys(names)
	})
}

// Fail gives the budget after the CA has refused these names, whatever the order was for.
func (b Budget) Fail(now time.Time, limits []Limit, names []string) Budget {
	return b.add(now, limits, func(l Limit) []counted {
		if l.Scope != PerFailure {
			return nil
		}
		return l.keys(names)
	})
}

// add gives a budget with what keys says, and without what no limit counts any more.
func (b Budget) add(now time.Time, limits []Limit, keys func(Limit) []counted) Budget {
	out := Budget{spent: map[string]map[string][]int64{}}
	for _, l := range limits {
		kept := map[string][]int64{}
		for key, times := range b.spent[l.id()] {
			if left := l.counts(times, now); len(left) > 0 {
				kept[key] = left
			}
		}
		for _, by := range keys(l) {
			times := append(slices.Clone(kept[by.key]), now.Unix())
			slices.Sort(times)
			kept[by.key] = times
		}
		if len(kept) > 0 {
			out.spent[l.id()] = kept
		}
	}
	return out
}

// id names what a limit counts; another Count goes on with what was counted.
func (l Limit) id() string { return fmt.Sprintf("%s %s %v", l.Scope, span(l.Per), l.Except) }

func span(d time.Duration) string {
	switch {
	case d%(24*time.Hour) == 0 && d > 24*time.Hour:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// counts gives those times that the limit counts. What is kept is cut to the second, so it counts a second longer rather
// than a moment too short. One that lies further ahead than the limit reaches was told by a
// wrong clock; one a little ahead is counted, since a clock may have been set back.
func (l Limit) counts(times []int64, now time.Time) []int64 {
	var left []int64
	for _, t := range times {
		if at := time.Unix(t+1, 0); at.Add(l.Per).After(now) && at.Sub(now) <= l.Per+time.Second {
			left = append(left, t)
		}
	}
	return left
}

// free gives the first moment at which fewer than Count lie within Per.
func (l Limit) free(times []int64, now time.Time) time.Time {
	left := l.counts(times, now)
	if l.Count <= 0 {
		return now.Add(l.Per)
	}
	if len(left) < l.Count {
		return now
	}
	return time.Unix(left[len(left)-l.Count]+1, 0).Add(l.Per).In(now.Location())
}

func (l Limit) why(what string) string {
	of := "orders"
	if l.Scope == PerFailure {
		of = "refusals"
	}
	return fmt.Sprintf("%d %s in %s for %s", l.Count, of, span(l.Per), what)
}

// counted is one thing that a limit counts by: under which key, and in which words.
type counted struct{ key, what string }

func (l Limit) keys(names []string) []counted {
	switch l.Scope {
	case PerAccount:
		return []counted{{"", "the account"}}
	case PerNames:
		set := slices.Compact(slices.Sorted(slices.Values(lower(names))))
		sum := sha256.Sum256([]byte(strings.Join(set, " ")))
		return []counted{{base64.RawURLEncoding.EncodeToString(sum[:9]), "the same names"}}
	case PerDomain:
		domains := map[string]bool{}
		for _, n := range lower(names) {
			domains[registered(n)] = true
		}
		return same(slices.Sorted(maps.Keys(domains)))
	case PerFailure:
		return same(slices.Compact(slices.Sorted(slices.Values(lower(names)))))
	}
	return nil
}

func lower(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToLower(n)
	}
	return out
}

func same(texts []string) []counted {
	var out []counted
	for _, t := range texts {
		out = append(out, counted{t, t})
	}
	return out
}

// registered gives the domain that somebody has registered, by the public suffix list that the program was built with.
func registered(name string) string {
	bare := strings.TrimPrefix(name, "*.")
	domain, err := publicsuffix.EffectiveTLDPlusOne(bare)
	if err != nil {
		return bare // a public suffix itself
	}
	return domain
}

// MarshalJSON gives what is kept.
func (b Budget) MarshalJSON() ([]byte, error) {
	if b.spent == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(b.spent)
}

// UnmarshalJSON reads what was kept.
func (b *Budget) UnmarshalJSON(data []byte) error {
	var spent map[string]map[string][]int64
	if err := json.Unmarshal(data, &spent); err != nil {
		return fmt.Errorf("read a budget: %w", err)
	}
	for _, by := range spent {
		for _, times := range by {
			for _, t := range times {
				if t < 0 || t > maxUnix {
					return errors.New("read a budget: a time in it is none")
				}
			}
			slices.Sort(times)
		}
	}
	b.spent = spent
	return nil
}

// maxUnix is the end of the year 9999.
const maxUnix = 253402300799
