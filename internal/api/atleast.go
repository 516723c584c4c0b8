package api

import (
	"context"
	"strconv"
	"time"

	"weir"
)

// headAtLeast is a header by which whoever asks says what revision they have seen: nothing older is told or taken for the
// newest. Behind one address there may be several servers of a store, and one may not have heard yet of what another took.
const headAtLeast = "Weir-At-Least"

// catchUpWithin is how long a server that is asked for what it has not heard of waits for it.
const catchUpWithin = 3 * time.Second

// headSilence says since when a server has not heard of etcd: what it tells may be old.
const headSilence = "Weir-Silent-Since"

func (c *call) catchUp() error {
	if d := c.h.opts.Silence(); d > 0 {
		c.w.Header().Set(headSilence, c.h.opts.Clock().Add(-d).UTC().Format(time.RFC3339))
	}
	text := c.r.Header.Get(headAtLeast)
	if text == "" {
		return nil
	}
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil || revision < 0 {
		return weir.Errorf(weir.Invalid, "the header %s is %q, and must be a revision", headAtLeast, text)
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), c.h.opts.CatchUp)
	defer cancel()
	if err := c.h.opts.Store.WaitFor(ctx, revision); err != nil {
		if weir.KindOf(err) != "" {
			return err
		}
		return weir.Errorf(weir.Unavailable, "this control plane knows revision %d, and revision %d was seen already: it does not hear at the moment what others of the store write; it catches up once it reaches etcd, and another one may be asked until then", c.h.opts.Store.Revision(), revision)
	}
	return nil
}
