package inventory

import (
	"fmt"
	"slices"
	"strings"

	"weir"
)

// Change is what a list is to do.
type Change struct {
	*List
	// Replace are the roles whose servers the list has all of: what the inventory wrote of them before and the list
	// lacks is deleted. None leaves everything else alone.
	Replace []string
	// Zone narrows Replace to the servers of one zone.
	Zone string
	// Remove, when not negative, is how many servers the caller knows to go; it allows more than half of them.
	Remove int
}

// Outside reports the entries that the list has no word on what becomes of their like.
func (c *Change) Outside() {
	if len(c.Replace) == 0 {
		return
	}
	for _, o := range c.objects {
		at := c.places[o.Metadata.Name]
		if !slices.Contains(c.Replace, o.Metadata.Role) {
			c.report(at, o.Metadata.Name, "role", fmt.Sprintf("the list is to replace the servers of role %s; send others in a call of their own", strings.Join(c.Replace, ", ")))
		}
		if zone := o.Spec.(*weir.Server).Zone; c.Zone != "" && zone != c.Zone {
			c.report(at, o.Metadata.Name, "zone", fmt.Sprintf("the list is to replace the servers of zone %s alone; send others in a call of their own", c.Zone))
		}
	}
}

// Writes works out what the list changes. Whom a server is shared with stays as it is. It refuses, as weir.Conflict, to take
// away more than half of what it could, or another number than Remove.
func (c *Change) Writes(base *weir.Set) ([]weir.Write, error) {
	writes := make([]weir.Write, 0, len(c.objects))
	for _, o := range c.objects {
		if before := base.Get(o.Ref()); before != nil && len(before.Metadata.ShareWith) > 0 {
			copied := *o
			copied.Metadata.ShareWith = before.Metadata.ShareWith
			o = &copied
		}
		writes = append(writes, weir.Write{Put: o})
	}
	gone, of := c.gone(base)
	if err := c.mayGo(gone, of); err != nil {
		return nil, err
	}
	for _, ref := range gone {
		writes = append(writes, weir.Write{Delete: ref})
	}
	return writes, nil
}

// gone gives the servers that the list lacks, of so many that it could have.
func (c *Change) gone(base *weir.Set) (gone []weir.Ref, of int) {
	if len(c.Replace) == 0 {
		return nil, 0
	}
	for o := range base.All("Server") {
		m := o.Metadata
		if m.ManagedBy != weir.ManagedByInventory || !slices.Contains(c.Replace, m.Role) || c.Zone != "" && c.Zone != o.Spec.(*weir.Server).Zone {
			continue
		}
		of++
		if _, listed := c.places[m.Name]; !listed {
			gone = append(gone, o.Ref())
		}
	}
	return gone, of
}

func (c *Change) mayGo(gone []weir.Ref, of int) error {
	n := len(gone)
	switch {
	case c.Remove >= 0 && n != c.Remove:
		return weir.Errorf(weir.Conflict, "the list would take away %d of the %d servers that the inventory has of %s, not %d: look again what goes, and confirm that number", n, of, c.whole(), c.Remove)
	case c.Remove < 0 && 2*n > of:
		names := make([]string, 0, 3)
		for _, ref := range gone[:min(n, cap(names))] {
			names = append(names, ref.Name)
		}
		return weir.Errorf(weir.Conflict, "the list would take away %d of the %d servers that the inventory has of %s (%s), which is more than half: look whether the export is whole; if it is meant, confirm the number: remove=%d (weir inventory apply --remove %d)",
			n, of, c.whole(), sample(names, n), n, n)
	}
	return nil
}

func (c *Change) whole() string {
	words := "role " + strings.Join(c.Replace, ", ")
	if c.Zone != "" {
		words += " in zone " + c.Zone
	}
	return words
}

func sample(names []string, of int) string {
	text := strings.Join(names, ", ")
	if len(names) < of {
		text += " and others"
	}
	return text
}

// MayWrite says why the inventory must leave a server alone, or nil: it belongs to another writer. before is nil for one
// that is new.
func MayWrite(before *weir.Object) error {
	if before == nil || before.Kind != "Server" {
		return nil
	}
	switch by := before.Metadata.ManagedBy; by {
	case weir.ManagedByInventory:
		return nil
	case "":
		return weir.Errorf(weir.Conflict, "%s: was made by a person, and is left alone: set its metadata.managedBy to %s to hand it over, or take it out of the list", before.Ref(), weir.ManagedByInventory)
	default:
		return weir.Errorf(weir.Conflict, "%s: is managed by %s, and is left alone: take it out of the list, or end what manages it", before.Ref(), by)
	}
}
