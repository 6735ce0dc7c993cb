//! Attempts to read or write attributes by a name that the program makes at run time.

use super::*;

/// Makes names that are no literals: `k` joins its parts, `d` puts underscores around one.
const NAMES: &str = "k = lambda *a: ''.join(a)\nd = lambda n: k('_', '_', n, '_', '_')\n";

/// Each attempt must end in an error. `code` may use the generator `g`.
#[tokio::test]
async fn no_library_function_reads_or_writes_a_blocked_name() {
    for (stdlib, code) in [
        ("", "return str(int.__getstate__(type(_helpers.CallError)))"),
        ("", "return str(getattr(int, d('getstate'))(_helpers.CallError))[:200]"),
        ("", "return str(int.mro())"),
        (
            "typing",
            "import typing\nD=int.__getstate__(typing._BaseGenericAlias)\nga=D[k('__geta','ttr__')]\nx=typing.List[int]\nx.__origin__=g\nreturn str(ga(x, k('gi_fr','ame')))",
        ),
        (
            "dataclasses",
            "import dataclasses\nn=k('__getattri','bute__')\ngot={}\nclass Meta(type):\n    def __new__(m,*a,**kw):\n        if a: return type.__new__(m,*a)\n        got.update(kw)\n        return 1\n    def __init__(self,*a,**kw): pass\nclass C(metaclass=Meta): pass\nF=dataclasses.field()\nF.name=n\nF._field_type=dataclasses._FIELD\nF.init=True\nMeta.__dataclass_fields__={'x':F}\ndataclasses.replace(C)\nga=got[n]\nreturn str(got)+str(ga(g,k('gi_fr','ame')))",
        ),
        ("", "return ('{0.'+d('class')+'}').format(print)"),
        ("json", "import json\nreturn ('{0.'+d('globals')+'}').format(json.loads)[:300]"),
        (
            "json",
            "import json\nreturn getattr('{0.'+d('globals')+'}', k('for','mat'))(json.loads)[:300]",
        ),
        (
            "json",
            "import json\nreturn vars(str)[k('for','mat')]('{0.'+d('globals')+'}', json.loads)[:300]",
        ),
        (
            "json",
            "import json\nclass S(str): pass\nreturn S('{0.'+d('globals')+'}').format(json.loads)[:100]",
        ),
        ("json", "import json\nreturn str.format('{0.'+d('globals')+'}',json.loads)[:100]"),
        (
            "json",
            "import json\nclass S(str):\n  def go(self,*a): return super().format(*a)\nreturn S('{0.'+d('globals')+'}').go(json.loads)[:100]",
        ),
        ("json", "import json\nreturn ('{a.'+d('globals')+'}').format_map({'a':json.loads})[:100]"),
        (
            "operator json",
            "import operator,json\nreturn str(operator.methodcaller(k('for','mat'), json.loads)('{0.'+d('globals')+'}'))[:100]",
        ),
        (
            "operator json",
            "import operator,json\nreturn operator.attrgetter(k('for','mat'))('{0.'+d('globals')+'}')(json.loads)[:100]",
        ),
        (
            "logging",
            "import logging\nr=logging.makeLogRecord({'f':logging.makeLogRecord})\nreturn logging.Formatter('{f.'+d('globals')+'}', style='{', validate=False).format(r)[:300]",
        ),
        (
            "warnings",
            "import warnings\nw=warnings.catch_warnings()\nreturn str(w._module.sys.modules)[:100]",
        ),
        ("json", "import json\nreturn str(json.dumps.__kwdefaults__)"),
        ("random", "import random\nreturn str(random.choice.__defaults__)"),
        ("", "async def f(): pass\nc=f()\nreturn str(c.cr_await)"),
        ("", "e=Exception()\ne.__setstate__({'a':1})\nreturn str(e.a)"),
        (
            "functools",
            "import functools\np=functools.partial(print)\np.__setstate__((getattr,(),{},{}))\nreturn str(p.func)",
        ),
        (
            "",
            "try:\n  print.foo\nexcept AttributeError as e:\n  return str(getattr(e,k('o','bj')))",
        ),
        ("", "class A:\n    pass\nreturn str(getattr(super(A, A()), k('__getattri','bute__')))"),
        ("_operator", "import _operator\nreturn str(_operator.attrgetter(k('gi_fr','ame'))(g))"),
        ("", "try:\n  print.foo\nexcept AttributeError as e:\n  return str(e.__getstate__())"),
        (
            "contextlib",
            "import contextlib\nclass R(contextlib.redirect_stdout):\n  _stream='modules'\nr=R({})\nr.__enter__()\nreturn str(list(r._old_targets[0])[:3])",
        ),
        (
            "enum",
            "import enum\np=enum.property()\np.fget=None\np.member=None\np._attr_type='attr'\np._cls_type=g\np.name=k('gi_fr','ame')\nreturn str(p.__get__(1,int))",
        ),
        (
            "argparse",
            "import argparse\nc=compile('_sys','f','eval')\na=argparse._StoreAction(['-x'],d('code'))\na(None,argparse.ArgumentParser.parse_args,c)\nreturn str(argparse.ArgumentParser.parse_args)",
        ),
        (
            "copy",
            "import copy\nc=compile('sys','f','eval')\ncopy._reconstruct(1,None,lambda: copy.copy,(),(None,{d('code'):c}))\nreturn str(copy.copy)",
        ),
        (
            "pickle json io",
            "import pickle, json, io\nc=compile('codecs','f','eval')\nclass U(pickle.Unpickler):\n  def persistent_load(self, pid): return [json.loads, {d('code'): c}][int(pid)]\nb=b'P0\\n(NP1\\ntb.'\nU(io.BytesIO(b)).load()\nreturn str(json.loads())",
        ),
        (
            "dataclasses json",
            "import dataclasses, json\nc=compile('codecs','f','eval')\nA=dataclasses.dataclass(type('A',(),{k('__annot','ations__'):{d('code'):object}}))\nA.__init__(json.loads, c)\nreturn str(json.loads())",
        ),
        (
            "dataclasses json",
            "import dataclasses, json\nc=compile('codecs','f','eval')\nA=dataclasses.make_dataclass('A',[d('code')])\nA.__init__(json.loads, c)\nreturn str(json.loads())",
        ),
        (
            "dataclasses json",
            "import dataclasses, json\nc=compile('codecs','f','eval')\ndataclasses._set_new_attribute(json.loads, d('code'), c)\nreturn str(json.loads())",
        ),
        (
            "optparse json",
            "import optparse,json\nc=compile('codecs','f','eval')\no=optparse.Option('-x')\no.take_action('store',d('code'),'-x',c,json.loads,None)\nreturn str(json.loads())",
        ),
        (
            "logging",
            "import logging.config\nreturn str(logging.config.BaseConfigurator({}).resolve('logging.Formatter.format.'+d('globals')))[:100]",
        ),
        (
            "logging json",
            "import logging.config,json\nc=compile('codecs','f','eval')\nlogging.config.BaseConfigurator({}).configure_custom({'()':lambda: json.loads,'.':{d('code'):c}})\nreturn str(json.loads())",
        ),
        (
            "json",
            "import json\njson.loads.__all__=[d('globals')]\nl={}\nexec('from json import *',{d('builtins'):{d('import'):lambda *a: json.loads}},l)\nreturn str(l)[:200]",
        ),
        (
            "json",
            "import json\njson.loads.__all__=[d('globals')]\nl={}\nc=compile('from json import *','f','exec')\nexec(c,{d('builtins'):{d('import'):lambda *a: json.loads}},l)\nreturn str(l)[:200]",
        ),
        ("", "return list(map(getattr(str,k('for','mat')),['{0.'+d('class')+'}'],[1]))"),
        ("", "match print:\n  case object(__getstate__=x): return str(x)"),
        ("json", "from json import __getstate__"),
        ("", "return '{0.__getstate__}'.format(1)"),
        ("", "class A:\n  def go(self): return super().__getstate__()\nreturn str(A().go())"),
        (
            "pprint dataclasses",
            "import pprint, dataclasses\nseen=[]\nclass Meta(type): pass\nclass C(metaclass=Meta): pass\nF=dataclasses.field()\nF.name=k('__getattri','bute__')\nF._field_type=dataclasses._FIELD\nsetattr(Meta, k('__dataclass_','fields__'), {'x':F})\nclass PP(pprint.PrettyPrinter):\n  def _format(self, o, *a): seen.append(o)\nPP()._pprint_dataclass(C, type('S',(),{'write':lambda s,t:None})(), 0,0,{},0)\nreturn str(seen)",
        ),
        ("", "p=property(getattr)\nreturn str(p.fget(g,k('gi_','frame')))"),
        (
            "",
            "class A:\n  @classmethod\n  def f(c): pass\nreturn str(getattr(vars(A)['f'],d('wrapped')))",
        ),
        (
            "",
            "next(g)\ntry: g.throw(ValueError())\nexcept ValueError as e: return str(getattr(e,d('traceback')))",
        ),
        (
            "",
            "try:\n  try: print.zz\n  except AttributeError as e: raise ValueError from e\nexcept ValueError as v:\n  return str(getattr(v.__cause__,k('o','bj')))",
        ),
        (
            "weakref json",
            "import weakref, json\nreturn str(getattr(weakref.proxy(json.loads), d('globals')))[:80]",
        ),
        (
            "collections json",
            "import collections, json\nreturn collections.UserString('{0.' + d('globals') + '}').format(json.loads)[:50]",
        ),
        (
            "json",
            "import json\nmatch '{0.' + d('globals') + '}':\n  case str(format=f): return f(json.loads)[:50]",
        ),
        (
            "enum json",
            "import enum, json\np = enum.property()\np.fget = p.member = None\np._attr_type = 'attr'\np._cls_type = '{0.' + d('globals') + '}'\np.name = k('for', 'mat')\nreturn p.__get__(1, int)(json.loads)[:50]",
        ),
    ] {
        let code = format!("{NAMES}def gen(): yield 1\ng = gen()\n{code}");
        let outcome = run_under(allow(stdlib), &code).await;
        assert!(
            matches!(outcome.result, Err(Failure::Raised(_))),
            "{stdlib}: {code}: {:?}",
            outcome.result
        );
    }
}

#[tokio::test]
async fn a_blocked_name_that_n8n_knows_not_is_data_as_text() {
    let code = "return {'mro': 'mro', 'n': '__getstate__'}";
    assert_eq!(result_under(allow(""), code).await, json!({"mro": "mro", "n": "__getstate__"}));
}

#[tokio::test]
async fn guarded_library_modules_work_as_before() {
    for (stdlib, code, expected) in [
        (
            "",
            "return ['{0.real} {a[b]} {c:>{w}}'.format(3,a={'b':1},c='x',w=4), ('{'+'}').format(7), '{x}'.format_map({'x':2}), str.format('{}',1), 'a.b[{0}]'.format(1)]",
            json!(["3 1    x", "7", "2", "1", "a.b[1]"]),
        ),
        (
            "warnings",
            "import warnings\nwith warnings.catch_warnings(record=True) as w:\n  warnings.simplefilter('always')\n  warnings.warn('x')\n  n=len(w)\nwith warnings.catch_warnings():\n  warnings.simplefilter('ignore')\n  warnings.warn('y')\nreturn n",
            json!(1),
        ),
        (
            "dataclasses copy",
            "import dataclasses, copy\n@dataclasses.dataclass(order=True)\nclass P:\n  x: int\n  y: list = dataclasses.field(default_factory=list)\np=P(1,[2])\nreturn [dataclasses.asdict(dataclasses.replace(p,x=5)), dataclasses.astuple(p), repr(copy.copy(p)), repr(copy.replace(p,x=9)), p<P(2), repr(copy.deepcopy(p))]",
            json!([{"x": 5, "y": [2]}, [1, [2]], "P(x=1, y=[2])", "P(x=9, y=[2])", true, "P(x=1, y=[2])"]),
        ),
        (
            "dataclasses",
            "import dataclasses\n@dataclasses.dataclass(slots=True,frozen=True,weakref_slot=True)\nclass P:\n  x: int=1\nreturn [repr(P()), hash(P())==hash(P())]",
            json!(["P(x=1)", true]),
        ),
        (
            "enum",
            "import enum\nclass E(enum.IntEnum):\n  A=1\nclass F(str, enum.Enum):\n  A='a'\nclass G(enum.Flag):\n  X=1\n  Y=2\nreturn [str(E.A), F.A.value, str(G.X|G.Y), E.A.name, E(1).name]",
            json!(["1", "a", "G.X|Y", "A", "A"]),
        ),
        (
            "argparse",
            "import argparse\np=argparse.ArgumentParser(prog='p')\np.add_argument('-x',type=int,action='append')\np.add_argument('-v',action='count',default=0)\np.set_defaults(q=1)\nreturn str(p.parse_args(['-x','1','-vv']))+p.format_help()[:10]",
            json!("Namespace(x=[1], v=2, q=1)usage: p ["),
        ),
        (
            "contextlib io",
            "import contextlib,io\ns=io.StringIO()\nwith contextlib.redirect_stdout(s): print('hi')\n@contextlib.contextmanager\ndef f(): yield 3\nwith f() as v: pass\nreturn [s.getvalue(), v]",
            json!(["hi\n", 3]),
        ),
        (
            "logging",
            "import logging, logging.config\nr=logging.makeLogRecord({'msg':'m','levelname':'X'})\nlogging.config.dictConfig({'version':1,'handlers':{'h':{'class':'logging.NullHandler'}},'root':{'handlers':['h']}})\nreturn [logging.Formatter('{levelname} {message}',style='{').format(r)]",
            json!(["X m"]),
        ),
        (
            "pickle collections",
            "import pickle,collections\nclass A:\n  pass\nvalues=[{'a':[1,(2,)]},collections.OrderedDict(a=1),ValueError('x').args,frozenset([1]),'x'*1000,2**100,1.5,None,b'y']\nreturn all(pickle.loads(pickle.dumps(v,n))==v for n in range(6) for v in values)",
            json!(true),
        ),
        (
            "copy",
            "import copy\nclass A:\n  def __getstate__(self): return {'x':1}\n  def __setstate__(self,s): self.x=s['x']\nreturn copy.copy(A()).x",
            json!(1),
        ),
        (
            "optparse",
            "import optparse\np=optparse.OptionParser()\np.add_option('-x',dest='mode')\no,a=p.parse_args(['-x','1','r'])\nreturn [o.mode,a]",
            json!(["1", ["r"]]),
        ),
        (
            "pprint dataclasses",
            "import pprint,dataclasses\n@dataclasses.dataclass\nclass P:\n  x: int\nreturn pprint.pformat([P(1),{'a':1}])",
            json!("[P(x=1), {'a': 1}]"),
        ),
    ] {
        let found = result_under(allow(stdlib), &format!("{NAMES}{code}")).await;
        assert_eq!(found, expected, "{stdlib}: {code}");
    }
}
