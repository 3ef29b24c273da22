# TAB completion of mistral for bash 4 and later, written by `mistral completions bash`.

_mistral_flags_of() {
    case $1 in
        '') _mistral_offer --color --debug --version -h --help ;;
        gen) _mistral_offer -p --prompt -f --file --stdin --no-stdin --template --set --role -s --system --system-file --prefix --raw --no-raw --lines --no-lines --batch -m --model --revision --chat-template --adapter --backend --dtype --quantize --kv --device --compile --no-compile --context --threads -t --temperature --top-p --top-k --min-p --repetition-penalty --presence-penalty --frequency-penalty --logit-bias --seed --order -n --max-tokens --stop --watchdog --no-watchdog --overflow --json --no-json --logprobs -o --output -x --extract --no-extract --trim --no-trim --markdown --no-markdown --confidence --no-confidence --plain --no-plain --stats --no-stats -q --quiet --no-quiet --color --debug -h --help ;;
        chat) _mistral_offer --role -s --system --system-file --script -m --model --revision --chat-template --adapter --backend --dtype --quantize --kv --device --compile --no-compile --context --threads -t --temperature --top-p --top-k --min-p --repetition-penalty --presence-penalty --frequency-penalty --logit-bias --seed --order -n --max-tokens --stop --watchdog --no-watchdog --overflow --keys --resume --store --no-store --keep-cache --no-keep-cache --plain --no-plain --stats --no-stats -q --quiet --no-quiet --color --debug -h --help ;;
        history) _mistral_offer -o --output --as -n --most --yes -y --json --color --debug -h --help ;;
        roles) _mistral_offer --json --color --debug -h --help ;;
        templates) _mistral_offer --json --color --debug -h --help ;;
        show) _mistral_offer --revision --on --tree --json --color --debug -h --help ;;
        list) _mistral_offer --aliases --json --color --debug -h --help ;;
        pull) _mistral_offer --revision --verify --yes -y --json --color --debug -h --help ;;
        remove) _mistral_offer --revision --yes -y --json --color --debug -h --help ;;
        use) _mistral_offer --json --color --debug -h --help ;;
        tokens) _mistral_offer -f --file --stdin --no-stdin --template --set --role -s --system --system-file --prefix --raw --no-raw --messages -m --model --revision --tokenizer --chat-template --json -q --quiet --no-quiet --color --debug -h --help ;;
        bench) _mistral_offer --random --keep --prompt-lengths --depths --batch --repeat --starts --no-starts --quick -m --model --revision --chat-template --dtype --quantize --kv --device --context --threads --backend -q --quiet --no-quiet --color --debug -h --help ;;
        perplexity) _mistral_offer --window --stride --limit -m --model --revision --chat-template --adapter --dtype --quantize --kv --device --threads -q --quiet --no-quiet --color --debug -h --help ;;
        quant-diff) _mistral_offer --a --b --lines --raw --window -n --max-tokens --limit -m --model --revision --chat-template --adapter --dtype --kv --device --threads -q --quiet --no-quiet --color --debug -h --help ;;
        quantize) _mistral_offer --to -o --output --force --revision --dtype --device --threads --json -q --quiet --no-quiet --color --debug -h --help ;;
        merge) _mistral_offer -o --output --force --quantize --revision --dtype --threads --json -q --quiet --no-quiet --color --debug -h --help ;;
        tune) _mistral_offer --data -o --output --dry-run --resume --recipe --sample --samples --revision --format --map --source --target --subset --split --strict -y --yes --adapter --rank --alpha --dropout --targets --lr --schedule --warmup --epochs --steps --loss --eval-split --eval-every --seed --save-every --quantize --batch --accumulate --length --packing --no-packing --checkpointing --no-checkpointing --threads --json -q --quiet --no-quiet --color --debug -h --help ;;
        data) _mistral_offer --examples --length --loss --format --map --source --target --subset --split --strict -y --yes --search --branches --unfinished -o --output -m --model --revision --tokenizer --chat-template --json -q --quiet --no-quiet --color --debug -h --help ;;
        cache) _mistral_offer --json --color --debug -h --help ;;
        config) _mistral_offer --json --color --debug -h --help ;;
        completions) _mistral_offer --color --debug -h --help ;;
        doctor) _mistral_offer --json --color --debug -h --help ;;
    esac
}

# What follows a flag of a command; nothing where it is a switch.
_mistral_kind_of() {
    case "$1 $2" in
        ' --color' | 'gen --color' | 'chat --color' | 'history --color' | 'roles --color' | 'templates --color' | 'show --color' | 'list --color' | 'pull --color' | 'remove --color' | 'use --color' | 'tokens --color' | 'bench --color' | 'perplexity --color' | 'quant-diff --color' | 'quantize --color' | 'merge --color' | 'tune --color' | 'data --color' | 'cache --color' | 'config --color' | 'completions --color' | 'doctor --color')
            kind='words auto always never' ;;
        'gen -p' | 'gen --prompt' | 'gen -s' | 'gen --system' | 'gen --prefix' | 'gen --batch' | 'gen --revision' | 'gen --context' | 'gen --threads' | 'gen -t' | 'gen --temperature' | 'gen --top-p' | 'gen --top-k' | 'gen --min-p' | 'gen --repetition-penalty' | 'gen --presence-penalty' | 'gen --frequency-penalty' | 'gen --logit-bias' | 'gen --seed' | 'gen -n' | 'gen --max-tokens' | 'gen --stop' | 'gen --logprobs' | 'chat -s' | 'chat --system' | 'chat --revision' | 'chat --context' | 'chat --threads' | 'chat -t' | 'chat --temperature' | 'chat --top-p' | 'chat --top-k' | 'chat --min-p' | 'chat --repetition-penalty' | 'chat --presence-penalty' | 'chat --frequency-penalty' | 'chat --logit-bias' | 'chat --seed' | 'chat -n' | 'chat --max-tokens' | 'chat --stop' | 'history -n' | 'history --most' | 'show --revision' | 'pull --revision' | 'remove --revision' | 'tokens -s' | 'tokens --system' | 'tokens --prefix' | 'tokens --revision' | 'bench --random' | 'bench --prompt-lengths' | 'bench --depths' | 'bench --batch' | 'bench --repeat' | 'bench --revision' | 'bench --context' | 'bench --threads' | 'perplexity --window' | 'perplexity --stride' | 'perplexity --limit' | 'perplexity --revision' | 'perplexity --threads' | 'quant-diff --a' | 'quant-diff --b' | 'quant-diff --window' | 'quant-diff -n' | 'quant-diff --max-tokens' | 'quant-diff --limit' | 'quant-diff --revision' | 'quant-diff --threads' | 'quantize --revision' | 'quantize --threads' | 'merge --revision' | 'merge --threads' | 'tune --sample' | 'tune --samples' | 'tune --revision' | 'tune --map' | 'tune --source' | 'tune --target' | 'tune --subset' | 'tune --split' | 'tune --rank' | 'tune --alpha' | 'tune --dropout' | 'tune --targets' | 'tune --lr' | 'tune --warmup' | 'tune --epochs' | 'tune --steps' | 'tune --eval-split' | 'tune --eval-every' | 'tune --seed' | 'tune --save-every' | 'tune --batch' | 'tune --accumulate' | 'tune --length' | 'tune --threads' | 'data --examples' | 'data --length' | 'data --map' | 'data --source' | 'data --target' | 'data --subset' | 'data --split' | 'data --search' | 'data --revision')
            kind=none ;;
        'gen -f' | 'gen --file' | 'gen --system-file' | 'gen -o' | 'gen --output' | 'chat --system-file' | 'chat --script' | 'history -o' | 'history --output' | 'tokens -f' | 'tokens --file' | 'tokens --system-file' | 'tokens --messages' | 'tokens --tokenizer' | 'tune --data' | 'tune --recipe' | 'tune --adapter' | 'data -o' | 'data --output' | 'data --tokenizer')
            kind=files ;;
        'gen --template' | 'tokens --template')
            kind=templates ;;
        'gen --set' | 'tokens --set')
            kind=fields ;;
        'gen --role' | 'chat --role' | 'tokens --role')
            kind=roles ;;
        'gen -m' | 'gen --model' | 'chat -m' | 'chat --model' | 'show --on' | 'tokens -m' | 'tokens --model' | 'bench -m' | 'bench --model' | 'perplexity -m' | 'perplexity --model' | 'quant-diff -m' | 'quant-diff --model' | 'data -m' | 'data --model')
            kind=models ;;
        'gen --chat-template' | 'chat --chat-template' | 'tokens --chat-template' | 'bench --chat-template' | 'perplexity --chat-template' | 'quant-diff --chat-template' | 'data --chat-template')
            kind='words v1 v2 v3 v3-tekken v7 v7-tekken v11 v13' ;;
        'gen --adapter' | 'chat --adapter' | 'bench --keep' | 'perplexity --adapter' | 'quant-diff --adapter' | 'quantize -o' | 'quantize --output' | 'merge -o' | 'merge --output' | 'tune -o' | 'tune --output')
            kind=folders ;;
        'gen --backend' | 'chat --backend' | 'bench --backend')
            kind='words native hf' ;;
        'gen --dtype' | 'chat --dtype' | 'bench --dtype' | 'perplexity --dtype' | 'quant-diff --dtype' | 'quantize --dtype' | 'merge --dtype')
            kind='words bfloat16 float16 float32 float64' ;;
        'gen --quantize' | 'chat --quantize' | 'bench --quantize' | 'perplexity --quantize')
            kind='words none nf4 int8 int4' ;;
        'gen --kv' | 'chat --kv' | 'bench --kv' | 'perplexity --kv' | 'quant-diff --kv')
            kind='words none int8' ;;
        'gen --device' | 'chat --device' | 'bench --device' | 'perplexity --device' | 'quant-diff --device' | 'quantize --device')
            kind='words auto cpu cuda mps' ;;
        'gen --order' | 'chat --order')
            kind='words temperature-first temperature-last' ;;
        'gen --overflow' | 'chat --overflow')
            kind='words error drop-oldest' ;;
        'chat --keys')
            kind='words emacs vi' ;;
        'chat --resume')
            kind=chats ;;
        'history --as')
            kind='words md json' ;;
        'quantize --to')
            kind='words nf4 int8 int4' ;;
        'merge --quantize')
            kind='words nf4 int8' ;;
        'tune --format' | 'data --format')
            kind='words chat sharegpt instruction completion translation text raw' ;;
        'tune --schedule')
            kind='words cosine linear constant' ;;
        'tune --loss' | 'data --loss')
            kind='words answers all' ;;
        'tune --quantize')
            kind='words none nf4' ;;
        *) kind='' ;;
    esac
}

# What stands at a place behind a command.
_mistral_kind_at() {
    case "$1 $2" in
        'gen 0' | 'tokens 0')
            kind=none ;;
        'history 0')
            kind='words list show search export remove path' ;;
        'roles 0' | 'templates 0')
            kind='words list show path' ;;
        'roles 1')
            kind=roles ;;
        'templates 1')
            kind=templates ;;
        'pull 0')
            kind=ids ;;
        'perplexity 0' | 'quant-diff 0')
            kind=files ;;
        'data 0')
            kind='words check from-history' ;;
        'cache 0')
            kind='words list remove clear' ;;
        'config 0')
            kind='words list get set unset path' ;;
        'completions 0')
            kind='words bash zsh fish' ;;
        'history '*)
            kind=chats ;;
        'show 0' | 'remove '* | 'use 0' | 'bench 0' | 'quantize 0' | 'merge 0' | 'tune 0')
            kind=models ;;
        'merge '*)
            kind=folders ;;
        'data '*)
            kind=lessons ;;
        'cache '*)
            kind=copies ;;
        'config '*)
            kind=settings ;;
        *) kind=none ;;
    esac
}

# The line up to the cursor, without quotes, in _words. Of the last word, the first _behind characters stand before
# what bash will replace; _quote is the quote that is open in it; _redirects tells that a file follows < or >.
_mistral_read_line() {
    local line=${COMP_LINE:0:COMP_POINT} word='' char next begun='' i
    _words=() _behind=0 _quote='' _redirects=''
    for ((i = 0; i < ${#line}; i++)); do
        char=${line:i:1}
        if [[ $_quote == "'" ]]; then
            if [[ $char == "'" ]]; then _quote='' _behind=${#word}; else word+=$char; fi
        elif [[ $char == \\ ]]; then
            i=$((i + 1)) next=${line:i:1} begun=1
            if [[ $_quote && $next != [\"\\\$\`] ]]; then word+=\\; fi
            word+=$next
        elif [[ $_quote ]]; then
            if [[ $char == '"' ]]; then _quote='' _behind=${#word}; else word+=$char; fi
        elif [[ $char == [\'\"] ]]; then
            _quote=$char _behind=${#word} begun=1
        elif [[ $char == [[:space:]] ]]; then
            if [[ $begun ]]; then _words+=("$word") _redirects=''; fi
            word='' begun='' _behind=0
        elif [[ $char == [\<\>] ]]; then
            if [[ $begun && $word != [0-9\&] ]]; then _words+=("$word"); fi
            word='' begun='' _behind=0 _redirects=1
        else
            word+=$char begun=1
            if [[ $COMP_WORDBREAKS == *"$char"* ]]; then _behind=${#word}; fi
        fi
    done
    _words+=("$word")
}

# Offers those of its arguments that begin with the word at the cursor, behind what stands before a =.
_mistral_offer() {
    local name rest
    for name in "$@"; do
        name=$_before$name
        if [[ $name != "$_current"* ]]; then continue; fi
        rest=${name:_behind}
        case $_quote in
            '"') rest=${rest//\\/\\\\} rest=${rest//\"/\\\"} rest=${rest//\$/\\\$} rest=${rest//\`/\\\`} ;;
            "'") rest=${rest//\'/"'\\''"} ;;
            *) if [[ $rest == *[!a-zA-Z0-9_./:=@%+-]* ]]; then printf -v rest %q "$rest"; fi ;;
        esac
        COMPREPLY+=("$rest")
    done
}

# Offers the names that the program itself knows.
_mistral_offer_names() {
    local name names=()
    while IFS=$'\t' read -r name _; do
        names+=("$name")
    done < <(_MISTRAL_COMPLETE=$1 "${_program/#\~/$HOME}" "${_words[@]:1}" 2>/dev/null)
    _mistral_offer "${names[@]}"
}

# Offers what may stand where something of this kind is wanted; an empty answer lets bash complete files.
_mistral_offer_kind() {
    local kind=$1
    shift
    case $kind in
        files) ;;
        folders) compopt -o dirnames +o default 2>/dev/null ;;
        models)
            _mistral_offer_names models
            compopt -o plusdirs +o default 2>/dev/null ;;
        templates)
            if [[ $_current != *[./]* ]]; then _mistral_offer_names templates; fi ;;
        lessons) _mistral_offer_names lessons ;;
        fields)
            _mistral_offer_names fields
            compopt -o nospace +o default 2>/dev/null ;;
        words)
            _mistral_offer "$@"
            compopt +o default 2>/dev/null ;;
        none) compopt +o default 2>/dev/null ;;
        *)
            _mistral_offer_names "$kind"
            compopt +o default 2>/dev/null ;;
    esac
}

_mistral() {
    local _words _behind _quote _redirects _program=$1 _before='' _current
    local command='' place=0 ends='' word previous='' i kind
    COMPREPLY=()
    _mistral_read_line
    if [[ $_redirects ]]; then return; fi
    _current=${_words[${#_words[@]} - 1]}
    for ((i = 1; i < ${#_words[@]} - 1; i++)); do
        word=${_words[i]}
        if [[ $previous ]]; then
            previous=''
        elif [[ ! $ends && $word == -- ]]; then
            ends=1
        elif [[ ! $ends && $word == -?* ]]; then
            _mistral_kind_of "$command" "$word"
            if [[ $kind ]]; then previous=$word; fi
        elif [[ ! $command ]]; then
            command=$word
        else
            place=$((place + 1))
        fi
    done
    if [[ ! $previous && ! $ends && $_current == --?*=* ]]; then
        previous=${_current%%=*} _before=$previous=
    elif [[ ! $previous && ! $ends && $_current == -* ]]; then
        _mistral_flags_of "$command"
        compopt +o default 2>/dev/null
        return
    fi
    if [[ $previous ]]; then
        _mistral_kind_of "$command" "$previous"
    elif [[ $command ]]; then
        _mistral_kind_at "$command" "$place"
    else
        kind='words gen chat history roles templates show list pull remove use tokens bench perplexity quant-diff quantize merge tune data cache config completions doctor'
    fi
    eval "_mistral_offer_kind ${kind:-none}"
}

complete -o default -F _mistral mistral mistral-cli
