package tickets

import (
	"crypto/ecdsa"
	"crypto/x509"
	"io"
	"slices"
	"strings"
	"time"
)

// Settings say when a group's keys change.
type Settings struct {
	// Every is how long a generation encrypts. Tickets are good for one to two times as long.
	Every time.Duration
	// Hold is for how long after its time a rotation waits for present members that do not follow.
	Hold time.Duration
}

// Member is a load balancer of a group, as the control plane sees it.
type Member struct {
	Name string
	// Certificate is the one that it proved to have the key of when it was last connected; nil when that is not known.
	Certificate *x509.Certificate
	// Present says that it is waited for and no new secret is begun for want of it: it is connected, or has been away
	// for no longer than the caller bears with. Until it has been looked for as long as that, everybody is present.
	Present bool
	// Able says that it can be asked for work now: it is connected, knows such work, and has not failed at it.
	Able bool
	// Generation is the current one as read back from its HAProxy, or that reported last; 0 when it has other keys.
	Generation int64
	// Silent says that nothing was heard of it since the group's current generation began.
	Silent bool
}

func (m Member) keyID() string {
	if m.Certificate == nil {
		return ""
	}
	return KeyID(m.Certificate)
}

// receives says whether a secret can be wrapped for the member's key, as agents make them.
func (m Member) receives() bool {
	if m.Certificate == nil {
		return false
	}
	_, ok := m.Certificate.PublicKey.(*ecdsa.PublicKey)
	return ok
}

// Recipient is a member that a secret is to be wrapped for.
type Recipient struct {
	Name        string `json:"name"`
	Certificate []byte `json:"certificate"`
}

// Task is what one member is asked for.
type Task struct {
	By    string `json:"by"`
	Epoch int64  `json:"epoch"`
	// Make asks for a new secret; else Check says which one to hand on.
	Make  bool        `json:"make,omitempty"`
	Check string      `json:"check,omitempty"`
	For   []Recipient `json:"for"`
}

// Step gives what a group's state becomes at a time, and what its members are asked for. It is called whenever
// members, what they report, an accepted offer or the time may have changed something, by one server of those that
// share a store, with the state that the result replaces.
func (s State) Step(now time.Time, members []Member, set Settings, random io.Reader) (State, []Task, error) {
	r := newRoster(members)
	if s.Rotated.After(now) {
		s.Rotated = now // the clock went back, or another server's is ahead: one period is not waited for for years
	}
	next, err := s.rotate(now, r, set, random)
	if err != nil {
		return s, nil, err
	}
	next.Epochs = slices.DeleteFunc(slices.Clone(next.Epochs), func(e Epoch) bool {
		return e.Number != next.newest().Number && !slices.ContainsFunc(next.Seeds, func(v Seed) bool { return v.Epoch == e.Number })
	})
	return next, next.tasks(r), nil
}

// Tasks gives what the members are asked for with the state as it is, as Step does: for those servers of a store that
// follow the state and leave the steps to another one.
func (s State) Tasks(members []Member) []Task { return s.tasks(newRoster(members)) }

// Next is when the next rotation is due.
func (s State) Next(set Settings) time.Time { return s.Rotated.Add(set.Every) }

// Lagging names the present members whose HAProxy does not have the current generation, sorted.
func (s State) Lagging(members []Member) []string {
	var names []string
	for _, m := range newRoster(members).present {
		if m.Generation < s.Generation() {
			names = append(names, m.Name)
		}
	}
	return names
}

func (s State) rotate(now time.Time, r roster, set Settings, random io.Reader) (State, error) {
	newest := s.newest()
	switch {
	case newest == nil:
		return s, nil
	case len(s.Seeds) == 0:
		return s.anew(now, 1, random)
	case !s.held(r, s.Seeds[1].Epoch) && s.held(r, newest.Number):
		// Nobody who is there can derive the current key, and so nobody is put behind by this.
		return s.anew(now, s.Seeds[2].Generation+1, random)
	}
	waited := r.without(s.lost)
	complete := waited.complete(*newest)
	hurried := s.Hurry > 0 && complete && s.wanted(r) == 0
	due := s.Next(set)
	if hurried {
		due = s.Rotated
	}
	late := !now.Before(due.Add(set.Hold))
	if now.Before(due) || !late && s.lags(waited) {
		return s, nil
	}
	epoch := s.Seeds[2].Epoch
	if complete || late {
		epoch = newest.Number
	}
	seed, err := newSeed(s.Seeds[2].Generation+1, epoch, now, random)
	if err != nil {
		return s, err
	}
	s.Seeds, s.Rotated = []Seed{s.Seeds[1], s.Seeds[2], seed}, now
	if hurried {
		s.Hurry--
	}
	return s, nil
}

// held says whether any present member was handed the secret of an epoch.
func (s State) held(r roster, number int64) bool {
	at := slices.IndexFunc(s.Epochs, func(e Epoch) bool { return e.Number == number })
	return at >= 0 && slices.ContainsFunc(r.present, func(m Member) bool { return r.opens(s.Epochs[at], m) })
}

// anew gives three new generations of the newest secret.
func (s State) anew(now time.Time, generation int64, random io.Reader) (State, error) {
	seeds := make([]Seed, generations)
	for i := range seeds {
		var err error
		if seeds[i], err = newSeed(generation+int64(i), s.newest().Number, now, random); err != nil {
			return s, err
		}
	}
	s.Seeds, s.Rotated, s.Hurry = seeds, now, 0
	return s, nil
}

func (s State) lags(r roster) bool {
	return slices.ContainsFunc(r.present, func(m Member) bool { return m.Generation < s.Generation() })
}

// lost says that a member was waited for before, as it is two behind, and was not heard of since. Nobody takes its tickets
// any more, so that to wait for it again would only keep the keys of all others for longer. One that is alive is heard
// of, and waited for each time, or it might never catch up.
func (s State) lost(m Member) bool {
	return m.Silent && m.Generation > 0 && m.Generation < s.Generation()-1
}

// wanted gives the epoch that is to be begun; 0 for none. One is, when there is none, when somebody who was handed the
// newest is no member any more, and when no present member could hand it on to one that lacks it.
func (s State) wanted(r roster) int64 {
	newest := s.newest()
	switch {
	case newest == nil:
		return 1
	case slices.ContainsFunc(newest.Envelopes, func(e Envelope) bool { return !r.has(e.To, e.ToKey) }),
		!s.held(r, newest.Number) && len(r.lacking(*newest)) > 0:
		return newest.Number + 1
	}
	return 0
}

// tasks are the same whoever works them out: the first able one by name does the work.
func (s State) tasks(r roster) []Task {
	var list []Task
	if epoch := s.wanted(r); epoch > 0 {
		if by, ok := r.able(func(Member) bool { return true }); ok {
			list = append(list, Task{By: by, Epoch: epoch, Make: true, For: r.lacking(Epoch{})})
		}
	}
	for _, e := range s.Epochs {
		by, ok := r.able(func(m Member) bool { return r.opens(e, m) })
		if missing := r.lacking(e); ok && len(missing) > 0 {
			list = append(list, Task{By: by, Epoch: e.Number, Check: e.Check, For: missing})
		}
	}
	return list
}

// roster is the members of a group, looked up by name.
type roster struct {
	ids     map[string]string // name → KeyID, "" when it is not known
	present []Member          // sorted by name
}

func newRoster(members []Member) roster {
	r := roster{ids: make(map[string]string, len(members))}
	for _, m := range members {
		r.ids[m.Name] = m.keyID()
		if m.Present {
			r.present = append(r.present, m)
		}
	}
	slices.SortFunc(r.present, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return r
}

// without gives the roster with those as absent that fit.
func (r roster) without(fits func(Member) bool) roster {
	r.present = slices.DeleteFunc(slices.Clone(r.present), fits)
	return r
}

// has says whether there is a member of that name and, as far as that is known, key.
func (r roster) has(name, keyID string) bool {
	id, ok := r.ids[name]
	return ok && (id == "" || id == keyID)
}

// opens says whether a member was handed an epoch's secret.
func (r roster) opens(e Epoch, m Member) bool {
	// Sorted by name, so that a group of hundreds does not look at each envelope for each member.
	at, _ := slices.BinarySearchFunc(e.Envelopes, Envelope{To: m.Name}, compareEnvelopes)
	for _, v := range e.Envelopes[at:] {
		if v.To != m.Name {
			break
		}
		if v.opens(m.Name, r.ids[m.Name]) {
			return true
		}
	}
	return false
}

// able gives the first by name that can be asked for work and fits.
func (r roster) able(fits func(Member) bool) (name string, ok bool) {
	at := slices.IndexFunc(r.present, func(m Member) bool { return m.Able && m.receives() && fits(m) })
	if at < 0 {
		return "", false
	}
	return r.present[at].Name, true
}

// lacking lists the present members that were not handed an epoch's secret and could be.
func (r roster) lacking(e Epoch) []Recipient {
	var list []Recipient
	for _, m := range r.present {
		if m.receives() && !r.opens(e, m) {
			list = append(list, Recipient{m.Name, m.Certificate.Raw})
		}
	}
	return list
}

// complete says whether no present member lacks an epoch's secret.
func (r roster) complete(e Epoch) bool { return len(r.lacking(e)) == 0 }
