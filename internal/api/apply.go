package api

import (
	"errors"
	"slices"
	"strings"

	"weir"
)

// ApplyAnswer is what became of a write of many objects, or would become of it.
type ApplyAnswer struct {
	// Revision is that of the change, or of the last change before when nothing differs.
	Revision int64 `json:"revision"`
	DryRun   bool  `json:"dryRun,omitempty"`
	// Change lists what differs, with before and after; its objects are empty when nothing does.
	Change weir.Change `json:"change"`
	// Objects are those that were sent, as they are now, with defaults filled in.
	Objects []*weir.Object `json:"objects,omitempty"`
	// Warnings are of what was asked for, ships, and is not as clients need it: host names without a certificate.
	Warnings []weir.Problem `json:"warnings,omitempty"`
	// Plan is there when it was asked for.
	Plan *PlanAnswer `json:"plan,omitempty"`
	// PlanError says why there is no Plan though it was asked for; the write was made all the same.
	PlanError string `json:"planError,omitempty"`
	// Skipped are objects that an undo leaves alone for good.
	Skipped []weir.Ref `json:"skipped,omitempty"`
}

// applied makes the answer to a write. sent are the objects to show; brief leaves before and after out.
func (c *call) applied(res result, sent []weir.Write, brief bool) *ApplyAnswer {
	a := &ApplyAnswer{Revision: res.Revision, DryRun: res.dryRun, Change: publicChange(res.Change), Skipped: res.Skipped}
	if brief {
		withoutSides(a.Change.Objects)
		return a
	}
	for _, w := range sent {
		if w.Put != nil {
			a.Objects = append(a.Objects, shown(res.After.Get(w.Ref())))
		}
	}
	return a
}

// publicChange redacts both sides of every object.
func publicChange(ch weir.Change) weir.Change {
	ch.Objects = slices.Clone(ch.Objects)
	for i := range ch.Objects {
		o := &ch.Objects[i]
		o.Before, o.After = shown(o.Before), shown(o.After)
	}
	if ch.Objects == nil {
		ch.Objects = []weir.ObjectChange{}
	}
	return ch
}

// applyMany makes everything in the body, and the deletions of the query, one change.
func (c *call) applyMany() error {
	plan, err := c.flag("plan")
	if err != nil {
		return err
	}
	brief, err := c.flag("brief")
	if err != nil {
		return err
	}
	writes, err := c.writes()
	if err != nil {
		return err
	}
	res, err := c.apply(writes, condition{})
	if err != nil {
		return err
	}
	return c.answerApplied(res, writes, brief, plan)
}

// plan tells what applyMany would do; it takes the same rights and leaves no trace.
func (c *call) plan() error {
	writes, err := c.writes()
	if err != nil {
		return err
	}
	if writes, err = c.keepTokens(writes); err != nil {
		return err
	}
	req, err := c.request(condition{})
	if err != nil {
		return err
	}
	req.Writes, req.DryRun = writes, true
	res, err := c.done(c.h.opts.Store.Apply(c.r.Context(), req))(true)
	if err != nil {
		return err
	}
	answer := c.applied(res, writes, false)
	if answer.Plan, err = c.planOf(res); err != nil {
		return err
	}
	answer.Warnings = c.warnings(res)
	return c.answerLong(answer)
}

// undo takes a change back.
func (c *call) undo() error {
	if err := c.granted(weir.Operator); err != nil {
		return err
	}
	revision, err := c.pathRevision()
	if err != nil {
		return err
	}
	plan, err := c.flag("plan")
	if err != nil {
		return err
	}
	req, err := c.request(condition{})
	if err != nil {
		return err
	}
	res, err := c.done(c.h.opts.Store.Undo(c.r.Context(), revision, req))(req.DryRun)
	if err != nil {
		return err
	}
	return c.answerApplied(res, nil, false, plan)
}

func (c *call) answerApplied(res result, sent []weir.Write, brief, plan bool) error {
	answer := c.applied(res, sent, brief)
	answer.Warnings = c.warnings(res)
	if plan {
		if err := c.addPlan(answer, res); err != nil {
			return err
		}
	}
	return c.answerLong(answer)
}

// addPlan adds what load balancers do. Of a write that was made, that it can't be told is part of the answer.
func (c *call) addPlan(answer *ApplyAnswer, res result) error {
	made, err := c.planOf(res)
	switch {
	case err != nil && res.dryRun:
		return err
	case err != nil:
		answer.PlanError = problemOf(err, "").Detail
	}
	answer.Plan = made
	return nil
}

// planOf asks the planner, and takes out the problems of objects that the caller may not see.
func (c *call) planOf(res result) (*PlanAnswer, error) {
	plan := &PlanAnswer{LoadBalancers: []LoadBalancerPlan{}}
	refs := make([]weir.Ref, len(res.Change.Objects))
	for i, o := range res.Change.Objects {
		refs[i] = o.Ref
	}
	if len(refs) == 0 {
		return plan, nil
	}
	made, err := c.h.opts.Planner.Plan(c.r.Context(), res.Before, res.After, refs)
	if err != nil {
		if errors.As(err, new(*weir.Error)) {
			return nil, err
		}
		return nil, &weir.Error{Kind: weir.Unavailable, Message: "the plan can't be made now", Cause: err}
	}
	plan.LoadBalancers = append(plan.LoadBalancers, made.LoadBalancers...)
	plan.Problems, plan.Waves = c.visible(res.After, made.Problems), made.Waves
	plan.Certificates = slices.DeleteFunc(slices.Clone(made.Certificates), func(n PlanNote) bool {
		return !c.sees(res.After, n.Object) && !c.sees(res.Before, n.Object)
	})
	c.impact(res, plan, made.Impact)
	return plan, nil
}

// visible leaves out the problems of objects that the caller may not see.
func (c *call) visible(set *weir.Set, list []weir.Problem) []weir.Problem {
	return slices.DeleteFunc(slices.Clone(list), func(p weir.Problem) bool { return !c.sees(set, p.Object) })
}

// sees says whether the caller may know of an object, named as "Pool/web-az1"; what names none, everybody may.
func (c *call) sees(set *weir.Set, object string) bool {
	if object == "" {
		return true
	}
	kind, name, _ := strings.Cut(object, "/")
	o := set.Get(weir.Ref{Kind: kind, Name: name})
	if o == nil {
		return c.who.Holds(weir.Viewer, "")
	}
	return c.may(o) == nil
}

// writes reads the objects to put from the body, and those to delete from the query, or from a body that names them alone,
// since an address does not hold thousands.
func (c *call) writes() ([]weir.Write, error) {
	if err := c.granted(weir.Operator); err != nil {
		return nil, err
	}
	words := c.r.URL.Query()["delete"]
	if c.namesDeletions() {
		more, err := c.deletions()
		if err != nil {
			return nil, err
		}
		words = append(words, more...)
	}
	var writes []weir.Write
	for _, word := range words {
		kindWord, name, ok := strings.Cut(word, "/")
		kind, known := weir.KindByWord(kindWord)
		if !ok || !known || weir.CheckName(name) != nil {
			return nil, queryProblem("delete", word, "the kind and name of an object, as Pool/web-az1")
		}
		writes = append(writes, weir.Write{Delete: weir.Ref{Kind: kind.Name, Name: name}})
	}
	if len(writes) > 0 && (c.r.ContentLength == 0 || c.namesDeletions()) {
		return writes, c.mustBeNew(writes)
	}
	list, err := c.manifest(maxManifestBody, manifestWithin)
	if err != nil {
		return nil, err
	}
	for _, o := range list {
		writes = append(writes, weir.Write{Put: o})
	}
	if len(writes) == 0 {
		return nil, invalid("the body holds no object")
	}
	return writes, c.mustBeNew(writes)
}

// mustBeNew marks the writes of objects that the query says are not there yet.
func (c *call) mustBeNew(writes []weir.Write) error {
	for _, word := range c.r.URL.Query()["new"] {
		kindWord, name, _ := strings.Cut(word, "/")
		kind, _ := weir.KindByWord(kindWord)
		i := slices.IndexFunc(writes, func(w weir.Write) bool { return w.Put != nil && w.Ref() == weir.Ref{Kind: kind.Name, Name: name} })
		if i < 0 {
			return queryProblem("new", word, "the kind and name of an object of the body, as Pool/web-az1")
		}
		writes[i].IfMatch = weir.MustNotExist
	}
	return nil
}
