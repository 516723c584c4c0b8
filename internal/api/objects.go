package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"weir"
	"weir/internal/store"
)

// ObjectList is a collection's answer; it can be applied as it is.
type ObjectList struct {
	Kind string `json:"kind"` // List
	// Revision is the moment at which the page was read; watch from here on.
	Revision int64          `json:"revision"`
	Items    []*weir.Object `json:"items"`
	// Continue asks for the next page, absent on the last one.
	Continue string `json:"continue,omitempty"`
}

// list answers a collection, item by item as it goes, or streams its changes.
func (c *call) list(kind weir.Kind) error {
	sel, err := c.selection()
	if err != nil {
		return err
	}
	if err := MayList(c.who, kind, sel.role); err != nil {
		return err
	}
	watch, err := c.flag("watch")
	if err != nil {
		return err
	}
	if watch {
		return c.watchObjects(kind, sel)
	}
	if c.has("from") {
		return queryProblem("from", c.text("from"), "together with watch=true")
	}
	limit, err := c.number("limit", 0, 1, 100_000)
	if err != nil {
		return err
	}
	after := ""
	if c.has("continue") {
		if after, err = decodeMark(c.text("continue")); err != nil {
			return err
		}
	}
	return c.writePage(kind, sel, after, limit)
}

func (c *call) writePage(kind weir.Kind, sel selection, after string, limit int64) error {
	view := c.h.opts.Store.View()
	c.revision = view.Revision
	c.w.Header().Set("Content-Type", "application/json")
	out := bufio.NewWriterSize(c.w, 64<<10)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	_, _ = fmt.Fprintf(out, `{"kind":"List","revision":%d,"items":[`, view.Revision)
	var written int64
	last, more := "", false
	for o := range view.All(kind.Name) {
		if o.Metadata.Name <= after || !sel.takes(o) || c.may(o) != nil {
			continue
		}
		if limit > 0 && written == limit {
			more = true
			break
		}
		if written > 0 {
			_ = out.WriteByte(',')
		}
		if err := encoder.Encode(c.withStatus(o)); err != nil {
			return c.cut(err)
		}
		written, last = written+1, o.Metadata.Name
	}
	_ = out.WriteByte(']')
	if more {
		_, _ = fmt.Fprintf(out, `,"continue":%q`, encodeMark(last))
	}
	_, _ = out.WriteString("}\n")
	return c.cut(out.Flush())
}

func (c *call) ref(kind weir.Kind) weir.Ref {
	return weir.Ref{Kind: kind.Name, Name: c.r.PathValue("name")}
}

// get answers one object. The ETag is the wish's revision: the status is not part of it.
func (c *call) get(kind weir.Kind) error {
	o, err := c.find(kind)
	if err != nil {
		return err
	}
	tag := etag(o.Revision)
	c.revision = o.Revision
	c.w.Header().Set("ETag", tag)
	if matches(c.r.Header.Values("If-None-Match"), tag) {
		c.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return c.answer(http.StatusOK, c.withStatus(o))
}

// find gives an object that is there and that the caller may read. Names are no secret, what they name is.
func (c *call) find(kind weir.Kind) (*weir.Object, error) {
	ref := c.ref(kind)
	o := c.h.opts.Store.View().Get(ref)
	if o == nil {
		return nil, c.noSuch(ref)
	}
	return o, c.may(o)
}

func (c *call) noSuch(ref weir.Ref) error {
	name := ref.Name
	if err := weir.CheckName(name); err != nil {
		return weir.Errorf(weir.NotFound, "there is no %s of that name", ref.Kind)
	}
	return weir.Errorf(weir.NotFound, "there is no %s", ref)
}

// put makes or replaces one object.
func (c *call) put(kind weir.Kind) error {
	if err := c.granted(weir.Operator); err != nil {
		return err
	}
	w, cond, err := c.conditions()
	if err != nil {
		return err
	}
	o, err := c.one(kind)
	if err != nil {
		return err
	}
	if o.Metadata.Name != c.r.PathValue("name") {
		return &weir.Error{Kind: weir.Invalid, Message: "the body is not what the address says", Problems: []weir.Problem{
			{Object: o.Ref().String(), Path: "metadata.name", Message: "must be the name in the address; to rename, make the new object and delete the old"},
		}}
	}
	w.Put = o
	res, err := c.apply([]weir.Write{w}, cond)
	if err != nil {
		return err
	}
	after := res.After.Get(o.Ref())
	if after == nil {
		return fmt.Errorf("put %s: the store lost it", o.Ref())
	}
	status := http.StatusOK
	if res.Before.Get(o.Ref()) == nil {
		status = http.StatusCreated
	}
	if !res.dryRun {
		c.w.Header().Set("ETag", etag(after.Revision))
	}
	return c.answer(status, c.withStatus(after))
}

// remove deletes one object.
func (c *call) remove(kind weir.Kind) error {
	if err := c.granted(weir.Operator); err != nil {
		return err
	}
	w, cond, err := c.conditions()
	if err != nil {
		return err
	}
	w.Delete = c.ref(kind)
	if weir.CheckName(w.Delete.Name) != nil {
		return c.noSuch(w.Delete)
	}
	res, err := c.apply([]weir.Write{w}, cond)
	if err != nil {
		return err
	}
	if len(res.Change.Objects) == 0 {
		return c.noSuch(w.Delete)
	}
	answer := c.applied(res, nil, true)
	answer.Warnings = c.warnings(res)
	return c.answer(http.StatusOK, answer)
}

// condition is what If-Match asks beyond a revision.
type condition struct{ mustExist bool }

// conditions reads If-Match and If-None-Match: a revision in quotes, or "*".
func (c *call) conditions() (weir.Write, condition, error) {
	var w weir.Write
	match, none := c.r.Header.Values("If-Match"), c.r.Header.Values("If-None-Match")
	switch {
	case len(match)+len(none) > 1:
		return w, condition{}, invalid("only one of If-Match and If-None-Match is understood, with one value")
	case len(none) == 1 && none[0] != "*":
		return w, condition{}, invalid("with a write, If-None-Match can only be *: the object must be new")
	case len(none) == 1:
		w.IfMatch = weir.MustNotExist
	case len(match) == 1 && match[0] == "*":
		return w, condition{mustExist: true}, nil
	case len(match) == 1:
		n, err := strconv.ParseInt(strings.Trim(match[0], `"`), 10, 64)
		if err != nil || n < 1 || match[0] != etag(n) {
			return w, condition{}, invalid("If-Match must be one ETag as it was given, a revision in double quotes, or *")
		}
		w.IfMatch = n
	}
	return w, condition{}, nil
}

func etag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// matches compares weakly, as RFC 9110 asks for If-None-Match.
func matches(values []string, tag string) bool {
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == tag || one == "*" {
				return true
			}
		}
	}
	return false
}

// result is what became of a write.
type result struct {
	*store.Result
	dryRun bool
}

// apply sends writes to the store with the query's reason and dryRun.
func (c *call) apply(writes []weir.Write, cond condition) (result, error) {
	req, err := c.request(cond)
	if err != nil {
		return result{}, err
	}
	if writes, err = c.keepTokens(writes); err != nil {
		return result{}, err
	}
	req.Writes = writes
	return c.done(c.h.opts.Store.Apply(c.r.Context(), req))(req.DryRun)
}

// request makes the part of a store request that is the same for all writes.
func (c *call) request(cond condition) (store.Request, error) {
	dryRun, err := c.flag("dryRun")
	if err != nil {
		return store.Request{}, err
	}
	reason, err := c.reason()
	if err != nil {
		return store.Request{}, err
	}
	return store.Request{Author: c.who.Subject, Credential: c.credentialName(), Reason: reason, DryRun: dryRun, Authorize: c.authorize(cond)}, nil
}

// credentialName says what the caller is known by, without anything that could be used.
func (c *call) credentialName() string {
	me, err := c.me()
	switch {
	case err != nil:
		return ""
	case c.cred.session == "":
		return "token " + me.Token
	case me.Provider != "":
		return "session by " + me.Provider
	}
	return "session with token " + me.Token
}

func (c *call) authorize(cond condition) func(before, after *weir.Object) error {
	return func(before, after *weir.Object) error {
		if err := Allowed(c.who, Write, before, after); err != nil {
			return err
		}
		if cond.mustExist && before == nil {
			return weir.Errorf(weir.Stale, "%s does not exist, and If-Match asks that it does", after.Ref())
		}
		return sameToken(before, after)
	}
}

// done notes the revision of a write that was made.
func (c *call) done(res *store.Result, err error) func(dryRun bool) (result, error) {
	return func(dryRun bool) (result, error) {
		if err != nil {
			return result{}, err
		}
		c.revision = res.Revision
		if !dryRun {
			c.w.Header().Set("Weir-Revision", strconv.FormatInt(res.Revision, 10))
			c.h.pictures.note(c.who.Subject, res.Revision)
		}
		return result{res, dryRun}, nil
	}
}

// reason reads why somebody does what is asked.
func (c *call) reason() (string, error) {
	reason := c.text("reason")
	if strings.ContainsFunc(reason, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
		return "", queryProblem("reason", "", "text without control characters")
	}
	return reason, nil
}
