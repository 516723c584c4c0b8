package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// fieldChange is one field that differs between two forms of an object; a nil side was not there.
type fieldChange struct {
	path          string
	before, after any
}

// fieldChanges lists what differs between two wishes, field by field, in the order of the paths.
func fieldChanges(before, after *object) []fieldChange {
	var a, b map[string]any
	_ = json.Unmarshal(before.wish(), &a) // it was JSON when it came
	_ = json.Unmarshal(after.wish(), &b)
	var out []fieldChange
	compare(&out, "", a, b)
	return out
}

func compare(out *[]fieldChange, path string, a, b any) {
	am, aIsMap := a.(map[string]any)
	bm, bIsMap := b.(map[string]any)
	if aIsMap && bIsMap {
		compareMaps(out, path, am, bm)
		return
	}
	al, aIsList := a.([]any)
	bl, bIsList := b.([]any)
	if aIsList && bIsList {
		compareLists(out, path, al, bl)
		return
	}
	if text(a) != text(b) {
		*out = append(*out, fieldChange{path, a, b})
	}
}

func compareMaps(out *[]fieldChange, path string, a, b map[string]any) {
	keys := maps.Clone(a)
	maps.Copy(keys, b)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		at := key
		if path != "" {
			at = path + "." + key
		}
		compare(out, at, a[key], b[key])
	}
}

// compareLists holds lists of words against each other as sets, lists of named things by name, others in order.
func compareLists(out *[]fieldChange, path string, a, b []any) {
	if isFlat(a) && isFlat(b) {
		if text(a) == text(b) {
			return
		}
		gone, come := without(a, b), without(b, a)
		if len(gone)+len(come) == 0 {
			*out = append(*out, fieldChange{path, a, b}) // only the order
			return
		}
		for _, v := range gone {
			*out = append(*out, fieldChange{path, v, nil})
		}
		for _, v := range come {
			*out = append(*out, fieldChange{path, nil, v})
		}
		return
	}
	if an, bn := byName(a), byName(b); an != nil && bn != nil {
		keys := maps.Clone(an)
		maps.Copy(keys, bn)
		for _, name := range slices.Sorted(maps.Keys(keys)) {
			compare(out, path+"["+name+"]", an[name], bn[name])
		}
		return
	}
	for i := range max(len(a), len(b)) {
		compare(out, path+"["+strconv.Itoa(i)+"]", element(a, i), element(b, i))
	}
}

func element(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

func isFlat(list []any) bool {
	return !slices.ContainsFunc(list, func(v any) bool {
		switch v.(type) {
		case map[string]any, []any:
			return true
		}
		return false
	})
}

func without(list, others []any) []any {
	return slices.DeleteFunc(slices.Clone(list), func(v any) bool { return slices.Contains(others, v) })
}

// byName makes a map of a list whose elements all have names of their own, nil when they have not.
func byName(list []any) map[string]any {
	out := make(map[string]any, len(list))
	for _, v := range list {
		m, _ := v.(map[string]any)
		name, ok := m["name"].(string)
		if !ok || out[name] != nil {
			return nil
		}
		out[name] = v
	}
	return out
}

// text writes a value on one line as a person would.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		if len(v) > 80 || strings.Contains(v, "\n") {
			return fmt.Sprintf("%s (%d bytes)", cut(oneLine(v), 40), len(v))
		}
		return v
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = text(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, key+": "+text(v[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}
