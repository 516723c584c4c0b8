package haproxy

// SameHead is what a Renderer tells pools apart by.
var SameHead = sameHead
