package api

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"weir"
	"weir/internal/inventory"
)

// InventoryAnswer is what became of an inventory's list, or would become of it.
type InventoryAnswer struct {
	// Entries counts those of the list; the rest count the servers that are new, changed, gone, and as they were.
	Entries   int `json:"entries"`
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Deleted   int `json:"deleted"`
	Unchanged int `json:"unchanged"`
	ApplyAnswer
}

// CSVType is the media type of a list whose first line names its columns.
const CSVType = "text/csv"

const inventoryTypes = "application/json or " + CSVType

var (
	replaceParam = param{name: "replace", kind: "string", many: true, doc: "A role of whose servers the list has all: those that an inventory wrote before and the list lacks are deleted."}
	zoneParam    = param{name: "zone", kind: "string", doc: "With replace: only the servers of this zone."}
	removeParam  = param{name: "remove", kind: "integer", doc: "With replace: how many servers go. It must be given, and be right, when that is more than half of them."}
)

// inventory makes a list of servers one change.
func (c *call) inventory() error {
	if err := c.granted(weir.Owner); err != nil {
		return err
	}
	plan, err := c.flag("plan")
	if err != nil {
		return err
	}
	brief, err := c.flag("brief")
	if err != nil {
		return err
	}
	change, err := c.inventoryChange()
	if err != nil {
		return err
	}
	if change.List, err = c.inventoryList(); err != nil {
		return err
	}
	res, err := c.applyInventory(change)
	if err != nil {
		return err
	}
	answer := &InventoryAnswer{Entries: change.Len(), ApplyAnswer: *c.applied(res, nil, false)}
	for _, o := range res.Change.Objects {
		switch {
		case o.Before == nil:
			answer.Created++
		case o.After == nil:
			answer.Deleted++
		default:
			answer.Updated++
		}
	}
	answer.Unchanged = answer.Entries - answer.Created - answer.Updated
	if brief {
		withoutSides(answer.Change.Objects)
	}
	if plan {
		if err := c.addPlan(&answer.ApplyAnswer, res); err != nil {
			return err
		}
	}
	return c.answerLong(answer)
}

// inventoryChange reads what the query says.
func (c *call) inventoryChange() (*inventory.Change, error) {
	change := &inventory.Change{Replace: c.r.URL.Query()["replace"], Zone: c.text("zone")}
	for _, role := range change.Replace {
		if weir.CheckName(role) != nil {
			return nil, queryProblem("replace", role, "the name of a role")
		}
		if !c.who.Holds(weir.Owner, role) {
			return nil, weir.Errorf(weir.Forbidden, "replacing the servers of role %s takes the right %s on it, which %s does not have; an admin gives it with a Grant", role, weir.Owner, c.who.Subject)
		}
	}
	for _, name := range []string{"zone", "remove"} {
		if c.has(name) && len(change.Replace) == 0 {
			return nil, queryProblem(name, c.text(name), "together with replace")
		}
	}
	if c.has("zone") && weir.CheckName(change.Zone) != nil {
		return nil, queryProblem("zone", change.Zone, "the name of a zone")
	}
	remove, err := c.number("remove", -1, 0, 1_000_000)
	change.Remove = int(remove)
	return change, err
}

// inventoryList reads the body entry by entry, as it comes.
func (c *call) inventoryList() (list *inventory.List, err error) {
	media, err := c.mediaType(inventoryTypes)
	if err != nil {
		return nil, err
	}
	read := inventory.ReadJSON
	switch media {
	case "application/json":
	case CSVType:
		read = inventory.ReadCSV
	default:
		return nil, wrongMedia(inventoryTypes)
	}
	// It is decoded as it comes, so that a slow sender keeps its place for long: not one of those that others wait for.
	done, err := c.turn(c.h.lists)
	if err != nil {
		return nil, err
	}
	defer done()
	err = c.stream(maxManifestBody, manifestWithin, func(body io.Reader) (err error) {
		list, err = read("body", body)
		return err
	})
	return list, err
}

// applyInventory makes the change. A list with broken rules is held against the objects all the same, so that everything
// that is wrong with it is told at once.
func (c *call) applyInventory(change *inventory.Change) (result, error) {
	change.Outside()
	if change.Len() == 0 && len(change.Replace) == 0 {
		if list, _ := change.Problems(); len(list) == 0 {
			return result{}, invalid("the list holds no server")
		}
	}
	req, err := c.request(condition{})
	if err != nil {
		return result{}, err
	}
	req.Expand = change.Writes
	allowed := req.Authorize
	req.Authorize = func(before, after *weir.Object) error {
		if err := allowed(before, after); err != nil {
			return err
		}
		return inventory.MayWrite(before)
	}
	broken, more := change.Problems()
	req.DryRun = req.DryRun || len(broken) > 0
	res, err := c.done(c.h.opts.Store.Apply(c.r.Context(), req))(req.DryRun)
	var refused *weir.Error
	switch {
	case errors.As(err, &refused):
		refused.Problems = inventoryProblems(change.List, refused, broken)
		if len(broken) > 0 && weir.KindOf(err) != weir.Forbidden {
			return result{}, listProblems(refused.Problems, more)
		}
		return result{}, err
	case err == nil && len(broken) > 0:
		return result{}, listProblems(broken, more)
	}
	return res, err
}

// inventoryProblems joins what is wrong with a list itself and what the objects make of it, in the list's order.
func inventoryProblems(list *inventory.List, refused *weir.Error, broken []weir.Problem) []weir.Problem {
	found := slices.Clone(refused.Problems)
	if object, message, ok := strings.Cut(refused.Message, ": "); ok && len(found) == 0 && strings.HasPrefix(object, "Server/") {
		found = []weir.Problem{{Object: object, Message: message}} // the store tells one alone without a list
		refused.Message = "the list is not allowed"
	}
	list.Locate(found)
	if weir.KindOf(refused) == weir.Forbidden {
		return found
	}
	found = append(found, broken...)
	slices.SortStableFunc(found, func(a, b weir.Problem) int { return a.Line - b.Line })
	return found
}

func listProblems(list []weir.Problem, more int) error {
	message := "the list breaks rules; nothing was changed"
	if more > 0 {
		message = "the list breaks rules in " + strconv.Itoa(len(list)+more) + " places, of which these are the first; nothing was changed"
	}
	return &weir.Error{Kind: weir.Invalid, Message: message, Problems: list}
}
