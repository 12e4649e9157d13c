package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
)

// mutant returns the file's content with the guard disabled.
func mutant(g Guard, src []byte) ([]byte, error) {
	from, to := 0, len(src)
	where := "the file"
	if g.Func != "" {
		var err error
		if from, to, err = extent(g.Func, src); err != nil {
			return nil, err
		}
		where = g.Func
	}
	body := src[from:to]
	switch n := bytes.Count(body, []byte(g.Text)); n {
	case 1:
	case 0:
		return nil, fmt.Errorf("%s does not hold the text %q", where, g.Text)
	default:
		return nil, fmt.Errorf("%s holds the text %q %d times, not once", where, g.Text, n)
	}
	at := from + bytes.Index(body, []byte(g.Text))
	return bytes.Join([][]byte{src[:at], []byte(g.With), src[at+len(g.Text):]}, nil), nil
}

// extent returns where in src the function of this name begins and ends.
func extent(name string, src []byte) (from, to int, err error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", src, parser.SkipObjectResolution)
	if err != nil {
		return 0, 0, err
	}
	for _, decl := range file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && funcName(fn) == name {
			return fset.Position(fn.Pos()).Offset, fset.Position(fn.End()).Offset, nil
		}
	}
	return 0, 0, fmt.Errorf("no function %s", name)
}

// funcName writes F, T.F or (*T).F, as Go's own messages do.
func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	switch recv := fn.Recv.List[0].Type.(type) {
	case *ast.StarExpr:
		return "(*" + typeName(recv.X) + ")." + fn.Name.Name
	default:
		return typeName(recv) + "." + fn.Name.Name
	}
}

// typeName drops the parameters of a generic type.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	}
	return "?"
}
