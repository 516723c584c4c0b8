package discovery

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir"
)

// Step is what is to be done now.
type Step struct {
	// Names are the servers to be written, sorted; Roster.Writes makes the writes of them.
	Names []string
	// Came, Went and Changed are how many servers will take traffic that did not, the other way round, and what else.
	Came, Went, Changed int
	// Believed says why servers may go that were held: "" when none were.
	Believed string
	// Next is when something will be due though nothing is told; the zero time for never.
	Next time.Time
}

// Reason is what a change of the step is for, in words.
func (s *Step) Reason() string {
	var list []string
	for _, part := range []struct {
		n    int
		word string
	}{{s.Came, "came"}, {s.Went, "went"}, {s.Changed, "changed"}} {
		if part.n > 0 {
			list = append(list, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	text := strings.Join(list, ", ")
	if s.Believed != "" {
		text += ": " + s.Believed
	}
	return text
}

// Confirmation is a person's word that what is gone is gone.
type Confirmation struct {
	// Number is that of the doubt that the person saw.
	Number int64  `json:"number"`
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

// Step looks at what has changed since the last one, and says what to write. A confirmation is of the doubt that was told
// last, nil for none; one of another doubt confirms nothing.
func (r *Roster) Step(now time.Time, confirmed *Confirmation) Step {
	var step Step
	in, next := r.damper.Tend(now)
	for _, name := range in {
		r.Touch(name)
	}
	step.Next = next
	r.all.note(now, r.floor.Window)
	for _, g := range r.each {
		g.note(now, r.floor.Window)
	}
	came := map[string]int{}
	for name := range r.touched {
		s := r.slots[name]
		if s == nil {
			continue
		}
		delete(r.refused, name)
		write, better := r.weigh(s, now)
		if write {
			step.Names = append(step.Names, name)
			step.Changed++
		}
		if better {
			came[s.part]++
			step.Came++
			step.Changed--
		}
	}
	clear(r.touched)
	if confirmed != nil && confirmed.Number != r.doubt.Number {
		confirmed = nil
	}
	r.fall(now, confirmed, came, &step)
	slices.Sort(step.Names)
	r.crowd(&step)
	return step
}

// crowd leaves out the servers that the role has no room for.
func (r *Roster) crowd(step *Step) {
	room, quota, bound := r.store.Room()
	if !bound {
		return
	}
	step.Names = slices.DeleteFunc(step.Names, func(name string) bool {
		s := r.slots[name]
		if s.ours || s.claims == nil {
			return false
		}
		if room--; room >= 0 {
			return false
		}
		if s.better {
			step.Came--
		} else {
			step.Changed--
		}
		r.Refused(name, fmt.Sprintf("role %s has room for %d servers, which are there: delete some, or ask an admin for more", r.role, quota))
		return true
	})
}

// weigh says of one name whether it is to be written without further ado, and whether a server more will then take
// traffic; those that would take none any more it puts to the gone.
func (r *Roster) weigh(s *slot, now time.Time) (write, better bool) {
	o := r.look(s)
	in := r.winner(s, o)
	if in != nil {
		r.move(s, in.part)
	}
	says := in != nil && in.state == Ready && (o == nil || s.ours)
	if s.said && !says && s.ours {
		r.damper.Fell(s.name, now)
	}
	s.said = says
	switch {
	case in == nil && !s.ours:
		r.returned(s)
		delete(r.slots, s.name)
		return false, false
	case in == nil && s.part == "" && !r.complete:
		return false, false // it may be of a part that was not read yet
	case in == nil && !s.good:
		r.returned(s)
		return true, false
	case in == nil || s.good && !says:
		r.lost(s, now)
		return false, false
	}
	r.returned(s)
	if why := r.unfit(in, o, s.ours); why != "" {
		r.left[in] = why
		return false, false
	}
	want := r.registration(s, in, now)
	better = !s.good && want.State == weir.RegistrationHealthy
	s.better = better
	return o == nil || !in.wanted.Is(r.role, o) || !registered(o, want), better
}

// unfit says why an instance can be no server as the store is, though its fields are in order.
func (r *Roster) unfit(in *instance, o *weir.Object, ours bool) string {
	if o != nil && !ours {
		writer := o.Metadata.ManagedBy
		switch writer {
		case "":
			writer = "people"
		case r.ManagedBy():
			writer = "people of role " + o.Metadata.Role
		}
		return fmt.Sprintf("Server/%s is written by %s; rename one of the two, or delete that", in.wanted.Name, Clip(writer))
	}
	if !r.store.Zone(in.wanted.Zone) {
		return fmt.Sprintf("Zone/%s does not exist: make it, or let the template name another", in.wanted.Zone)
	}
	return ""
}

func (r *Roster) lost(s *slot, now time.Time) {
	if _, known := r.gone[s.name]; known {
		return
	}
	if s.since, s.held = r.before[s.name]; !s.held {
		s.since = now
	}
	r.gone[s.name] = s
}

func (r *Roster) returned(s *slot) {
	delete(r.gone, s.name)
	delete(r.before, s.name)
	s.since, s.held, s.believed = time.Time{}, false, false
}

// fall judges what is gone: what is believed goes, all else is held.
func (r *Roster) fall(now time.Time, confirmed *Confirmation, came map[string]int, step *Step) {
	open, believed := map[string]int{}, map[string]int{} // by part
	opened, gone := 0, 0
	for _, s := range r.gone {
		s.believed = s.believed || confirmed != nil && s.held || now.Sub(s.since) >= r.floor.Hold
		if s.believed {
			believed[s.part]++
			gone++
			continue
		}
		open[s.part]++
		opened++
	}
	if gone > 0 {
		// What was believed counts no more for what comes after.
		r.all.believed()
		for part := range believed {
			r.group(part).believed()
		}
		if step.Believed = fmt.Sprintf("gone for %s", r.floor.Hold); confirmed != nil {
			step.Believed = "confirmed by " + confirmed.By
			if confirmed.Reason != "" {
				step.Believed += ": " + confirmed.Reason
			}
		}
	}
	why := r.floor.doubts(&r.all, r.all.good-gone, opened, step.Came, true)
	all, parts := why != "", map[string]bool{}
	for part, g := range r.each {
		told := r.floor.doubts(g, g.good-believed[part], open[part], came[part], false)
		if parts[part] = told != ""; told != "" && !all && (why == "" || told < why) {
			why = told
			if part != "" {
				why = "of " + Clip(part) + ": " + told
			}
		}
	}
	r.hold(now, why, all, parts, step)
}

// hold notes what is held, and has the rest of what is gone written.
func (r *Roster) hold(now time.Time, why string, all bool, parts map[string]bool, step *Step) {
	var held []*slot
	more := false
	for name, s := range r.gone {
		if !s.believed && (all || parts[s.part]) {
			more = more || !s.held
			s.held = true
			held = append(held, s)
			continue
		}
		s.held = false
		step.Names = append(step.Names, name)
		step.Went++
	}
	if len(held) == 0 && !r.complete {
		return // what was doubted before may be so still
	}
	r.doubt = doubtOf(held, why, r.floor.Hold, r.doubt, more)
	if r.complete {
		r.before = nil
	}
	if len(held) == 0 {
		return
	}
	// A fall within the window is believed once that has passed, so it has to be looked at again.
	next := now.Add(max(time.Second, r.floor.Window/samples))
	if r.doubt.Until.Before(next) {
		next = r.doubt.Until
	}
	if step.Next.IsZero() || next.Before(step.Next) {
		step.Next = next
	}
}

// registration is what the store is to say of the health of a server.
func (r *Roster) registration(s *slot, in *instance, now time.Time) weir.Registration {
	reg := weir.Registration{State: weir.RegistrationHealthy, Since: now, By: r.ManagedBy()}
	switch in.state {
	case NotReady:
		reg.State, reg.Reason = weir.RegistrationWithdrawn, "the source has it as not ready"
	case Draining:
		reg.State, reg.Reason = weir.RegistrationDraining, "the source has it as draining"
	case Ready:
		if _, out := r.damper.Out(s.name, now); out && !s.good {
			// Not withdrawn: a pool that would be empty for it takes it in all the same.
			reg.State, reg.Reason = weir.RegistrationStale, "it came and went too often lately"
		}
	}
	return reg
}

// registered says whether an object has a registration already, whenever that began.
func registered(o *weir.Object, want weir.Registration) bool {
	has := o.Spec.(*weir.Server).Registration
	return has != nil && has.State == want.State && has.By == want.By && has.Reason == want.Reason
}

// Writes makes the writes for names of a step; each holds only while nobody else has written the same object since.
// They are looked at again in the next step, whatever became of them.
func (r *Roster) Writes(names []string, now time.Time) []weir.Write {
	writes := make([]weir.Write, 0, len(names))
	for _, name := range names {
		s := r.slots[name]
		if s == nil {
			continue
		}
		r.Touch(name)
		o := r.look(s)
		in := r.winner(s, o)
		switch {
		case in == nil && s.ours:
			writes = append(writes, weir.Write{Delete: o.Ref(), IfMatch: o.Revision})
		case in == nil || o != nil && !s.ours:
		default:
			writes = append(writes, r.put(s, in, o, now))
		}
	}
	return writes
}

func (r *Roster) put(s *slot, in *instance, o *weir.Object, now time.Time) weir.Write {
	put := in.wanted.Object(r.role, r.ManagedBy())
	reg, match := r.registration(s, in, now), weir.MustNotExist
	if o != nil {
		match = o.Revision
		if has := o.Spec.(*weir.Server).Registration; has != nil && has.State == reg.State {
			reg.Since = has.Since
		}
	}
	put.Spec.(*weir.Server).Registration = &reg
	return weir.Write{Put: put, IfMatch: match}
}
