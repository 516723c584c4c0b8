package main

import (
	"slices"
	"strings"

	"weir"
)

// parseKind reads a kind as people write it: Pool, pools, lb.
func parseKind(word string) (weir.Kind, error) {
	kind, ok := weir.KindByWord(word)
	if ok {
		return kind, nil
	}
	if near := nearest(strings.ToLower(word), kindWords()); near != "" {
		return kind, usagef("%q is no kind; did you mean %s?", word, near)
	}
	return kind, usagef("%q is no kind; the kinds are %s", word, strings.Join(kindWords(), ", "))
}

// kindWords are the kinds that objects can be asked by.
func kindWords() []string {
	var names []string
	for _, k := range weir.Kinds() {
		if !k.ReadOnly {
			names = append(names, k.Plural)
		}
	}
	return names
}

// parseRef reads "pool/web-az1".
func parseRef(word string) (weir.Ref, error) {
	kindWord, name, ok := strings.Cut(word, "/")
	if !ok {
		return weir.Ref{}, usagef("%q must be a kind and a name, as Pool/web-az1", word)
	}
	return newRef(kindWord, name)
}

func newRef(kindWord, name string) (weir.Ref, error) {
	kind, err := parseKind(kindWord)
	if err != nil {
		return weir.Ref{}, err
	}
	if err := weir.CheckName(name); err != nil {
		return weir.Ref{}, usagef("%s: the name %s", kind.Name, err)
	}
	return weir.Ref{Kind: kind.Name, Name: name}, nil
}

// refsOf reads the arguments that name objects: a kind and names, or Kind/name as the output writes them, also of
// several kinds. Each object is named once. A kind alone names nothing.
func refsOf(args []string) ([]weir.Ref, error) {
	var refs []weir.Ref
	kindWord := ""
	for i, word := range args {
		var ref weir.Ref
		var err error
		switch written := strings.Contains(word, "/"); {
		case !written && i == 0:
			kindWord = word
			_, err = parseKind(word)
		case !written && kindWord != "":
			ref, err = newRef(kindWord, word)
		case !written:
			err = usagef("%q stands behind %s and must be a kind and a name too, as Pool/web-az1", word, args[i-1])
		case kindWord != "":
			ref.Name, err = nameOf(kindWord, word)
			if err == nil {
				ref, err = newRef(kindWord, ref.Name)
			}
		default:
			ref, err = parseRef(word)
		}
		if err != nil {
			return nil, err
		}
		if ref.Name != "" && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// kindAndNames reads arguments as refsOf does where all must be of one kind; no names are all objects of it.
func kindAndNames(args []string) (weir.Kind, []string, error) {
	refs, err := refsOf(args)
	if err != nil {
		return weir.Kind{}, nil, err
	}
	if len(refs) == 0 {
		kind, err := parseKind(args[0])
		return kind, nil, err
	}
	kind, _ := weir.KindByName(refs[0].Kind)
	names := make([]string, len(refs))
	for i, ref := range refs {
		if ref.Kind != kind.Name {
			return weir.Kind{}, nil, usagef("%s and %s are of two kinds; ask for one kind at a time", refs[0], ref)
		}
		names[i] = ref.Name
	}
	return kind, names, nil
}

// oneRef reads arguments as refsOf does where one object must be named.
func oneRef(args []string) (weir.Ref, error) {
	refs, err := refsOf(args)
	switch {
	case err != nil:
		return weir.Ref{}, err
	case len(refs) == 0:
		return weir.Ref{}, usagef("say which: KIND NAME, or Kind/name")
	case len(refs) > 1:
		return weir.Ref{}, usagef("%s is one too many: name one object", refs[1])
	}
	return refs[0], nil
}

// nameOf reads the name of an object whose kind is known: "web-az1-1", or "Server/web-az1-1" as the output writes it.
func nameOf(kindWord, word string) (string, error) {
	if !strings.Contains(word, "/") {
		_, err := newRef(kindWord, word)
		return word, err
	}
	ref, err := parseRef(word)
	if err != nil {
		return "", err
	}
	if kind, _ := weir.KindByWord(kindWord); kind.Name != ref.Kind {
		return "", usagef("%s is no %s", ref, kind.Name)
	}
	return ref.Name, nil
}
