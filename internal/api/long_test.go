package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"weir"
	"weir/internal/weirtest"
)

// TestLongAnswersAreTheSameJSON holds what is written an element at a time against what is written at once.
func TestLongAnswersAreTheSameJSON(t *testing.T) {
	t.Parallel()
	objects := slices.Collect(weirtest.RandomObjects(1, weirtest.Options{Sealed: true}).Every())
	change := weir.Change{Author: "ann", Reason: "a <b> & \u2028 \"c\"", At: time.Date(2026, 11, 21, 1, 2, 3, 4, time.UTC)}
	for i, o := range objects {
		change.Objects = append(change.Objects, weir.ObjectChange{Ref: o.Ref(), After: o, Before: objects[max(0, i-1)]})
	}
	for _, v := range []any{
		&ApplyAnswer{Revision: 7, DryRun: true, Change: change, Objects: objects, Plan: &PlanAnswer{LoadBalancers: []LoadBalancerPlan{{Name: "a", Commands: []string{"x"}}}}, PlanError: "e", Skipped: []weir.Ref{{Kind: "A", Name: "b"}}},
		&ApplyAnswer{},
		&ApplyAnswer{Change: weir.Change{Objects: []weir.ObjectChange{}}, Objects: []*weir.Object{}},
		ChangeRecord{Revision: 3, Change: change, Omitted: 2},
		&ChangeList{Items: []ChangeRecord{{Revision: 1, Change: change}, {Revision: 2}}, Continue: 5},
		ChangeList{},
	} {
		var got bytes.Buffer
		if err := newLongWriter(&got).value(reflect.ValueOf(v), 0); err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := json.Unmarshal(got.Bytes(), &a); err != nil {
			t.Fatalf("%T: %v in %.200s", v, err, got.Bytes())
		}
		if err := json.Unmarshal(want, &b); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%T is written as %.500s, want %.500s", v, got.Bytes(), want)
		}
	}
}

type full struct{ room int }

func (f *full) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errors.New("full")
	}
	return len(b), nil
}

func TestLongAnswerThatNobodyTakesIsAnError(t *testing.T) {
	t.Parallel()
	v := ChangeRecord{Change: weir.Change{Objects: []weir.ObjectChange{{Ref: weir.Ref{Kind: "Pool", Name: "web"}}}}}
	whole, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for room := range len(whole) {
		if err := newLongWriter(&full{room}).value(reflect.ValueOf(v), 0); err == nil {
			t.Fatalf("with room for %d bytes of %d there was no error", room, len(whole))
		}
	}
}
