package main

import (
	"encoding/json"

	"weir"
	"weir/internal/api"
)

// object is one as the control plane gave it: decoded to be looked at, raw to be shown whole, even when a newer
// control plane knows fields that this program does not.
type object struct {
	weir.Object
	raw json.RawMessage
}

// UnmarshalJSON reads what the API wrote.
func (o *object) UnmarshalJSON(raw []byte) error {
	read, err := weir.DecodeStored(raw)
	if err != nil {
		return err
	}
	o.Object, o.raw = *read, append(json.RawMessage(nil), raw...)
	return nil
}

// MarshalJSON gives what the API wrote.
func (o *object) MarshalJSON() ([]byte, error) { return o.raw, nil }

// condition finds a statement about the object, nil when there is none.
func (o *object) condition(kind string) *weir.Condition {
	if o.Status == nil {
		return nil
	}
	for i := range o.Status.Conditions {
		if o.Status.Conditions[i].Type == kind {
			return &o.Status.Conditions[i]
		}
	}
	return nil
}

// wish is an object without what the control plane adds: what a person would write.
func (o *object) wish() json.RawMessage {
	var fields struct {
		Kind     json.RawMessage `json:"kind"`
		Metadata json.RawMessage `json:"metadata"`
		Spec     json.RawMessage `json:"spec"`
	}
	if json.Unmarshal(o.raw, &fields) != nil {
		return o.raw
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return o.raw
	}
	return out
}

// objectChange is weir.ObjectChange as it is read.
type objectChange struct {
	weir.Ref
	Before *object `json:"before"`
	After  *object `json:"after"`
}

// change is weir.Change as it is read, with its revision and how many objects of it the reader may not see.
type change struct {
	Revision int64 `json:"revision"`
	Omitted  int   `json:"omitted"`
	weir.Change
	Objects []objectChange    `json:"objects"`
	Waves   []api.ChangeWaves `json:"waves"`
	Work    *api.ChangeWork   `json:"work"`
	raw     json.RawMessage
}

// UnmarshalJSON keeps the text too.
func (c *change) UnmarshalJSON(raw []byte) error {
	var read struct {
		Revision int64             `json:"revision"`
		Omitted  int               `json:"omitted"`
		Objects  []objectChange    `json:"objects"`
		Waves    []api.ChangeWaves `json:"waves"`
		Work     *api.ChangeWork   `json:"work"`
	}
	if err := json.Unmarshal(raw, &read); err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return err
	}
	// weir.Change can't read objects: a spec is an interface.
	delete(fields, "objects")
	rest, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(rest, &c.Change); err != nil {
		return err
	}
	c.Revision, c.Omitted, c.Objects, c.Waves, c.Work = read.Revision, read.Omitted, read.Objects, read.Waves, read.Work
	c.raw = append(json.RawMessage(nil), raw...)
	return nil
}

// MarshalJSON gives what the API wrote.
func (c *change) MarshalJSON() ([]byte, error) { return c.raw, nil }

// applied is api.ApplyAnswer as it is read.
type applied struct {
	Revision  int64           `json:"revision"`
	DryRun    bool            `json:"dryRun"`
	Change    change          `json:"change"`
	Warnings  []weir.Problem  `json:"warnings"`
	Plan      *api.PlanAnswer `json:"plan"`
	PlanError string          `json:"planError"`
	Skipped   []weir.Ref      `json:"skipped"`
	raw       json.RawMessage
}

// UnmarshalJSON keeps the text too.
func (a *applied) UnmarshalJSON(raw []byte) error {
	type fields applied
	if err := json.Unmarshal(raw, (*fields)(a)); err != nil {
		return err
	}
	a.raw = append(json.RawMessage(nil), raw...)
	return nil
}

// MarshalJSON gives what the API wrote.
func (a *applied) MarshalJSON() ([]byte, error) { return a.raw, nil }
