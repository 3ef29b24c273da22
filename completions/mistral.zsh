#compdef mistral mistral-cli
# TAB completion of mistral for zsh, written by `mistral completions zsh`.

# Offers the names that the program itself knows, with what they are.
_mistral_names() {
    local -a rows
    local name about
    while IFS=$'\t' read -r name about; do
        name=${name//\\/\\\\}
        rows+=("${name//:/\\:}:$about")
    done < <(_MISTRAL_COMPLETE=$1 ${(Q)~_mistral_words[1]} ${(Q)_mistral_words[2,-1]} 2>/dev/null)
    _describe -V -t mistral-$1 ${1%s} rows "${@[2,-1]}"
}

# Says what is wanted where nothing can be offered; a message would keep a flag from being completed there.
_mistral_hint() { [[ $PREFIX == -* ]] || _message -r $1 }
_mistral_models() {
    if [[ $PREFIX == [/.~]* ]]; then  # names that are paths would not mix with paths
        _path_files -/
    else
        _alternative 'models:model: _mistral_names models' 'folders:folder:_path_files -/'
    fi
}
_mistral_ids() { _mistral_names ids }
_mistral_chats() { _mistral_names chats }
_mistral_lessons() {
    _alternative 'chats:chat: _mistral_names lessons' 'files:file:_files'
}
_mistral_roles() { _mistral_names roles }
_mistral_templates() {
    _alternative 'templates:template: _mistral_names templates' "files:file:_files -g '*.toml(-.)'"
}
_mistral_fields() { _mistral_names fields -S '' }
_mistral_copies() { _mistral_names copies }
_mistral_settings() { _mistral_names settings }

_mistral-gen() {
    _arguments -s -S \
        '(-p --prompt)-p+[The prompt, instead of PROMPT]:TEXT: _mistral_hint TEXT' \
        '(-p --prompt)--prompt=[The prompt, instead of PROMPT]:TEXT: _mistral_hint TEXT' \
        '*-f+[Add a file to the prompt]:FILE:_files' \
        '*--file=[Add a file to the prompt]:FILE:_files' \
        '(--stdin --no-stdin)--stdin[Read stdin where it is not a terminal, and add it last (the default)]' \
        '(--stdin --no-stdin)--no-stdin[Not\: Read stdin where it is not a terminal, and add it last (the default)]' \
        '--template=[Put prompt, files and stdin where this template has places for them\: a name (mistral templates) or a file]:TEMPLATE:_mistral_templates' \
        '*--set=[With --template\: what stands for {{FIELD}}; repeatable]:FIELD=TEXT:_mistral_fields' \
        '--role=[Answer as this role does\: its system prompt and parameters (mistral roles); none for no role]:ROLE:_mistral_roles' \
        '(-s --system)-s+[The system prompt]:TEXT: _mistral_hint TEXT' \
        '(-s --system)--system=[The system prompt]:TEXT: _mistral_hint TEXT' \
        '--system-file=[Read the system prompt from a file]:FILE:_files' \
        '--prefix=[Start the answer with these words]:TEXT: _mistral_hint TEXT' \
        '(--raw --no-raw)--raw[Send the prompt as it is, without the chat template]' \
        '(--raw --no-raw)--no-raw[Not\: Send the prompt as it is, without the chat template]' \
        '(--lines --no-lines)--lines[Each line of stdin is a prompt]' \
        '(--lines --no-lines)--no-lines[Not\: Each line of stdin is a prompt]' \
        '--batch=[With --lines\: answer N lines side by side, each with a cache of its own]:N: _mistral_hint N' \
        '(-m --model)-m+[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '(-m --model)--model=[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '--revision=[Branch, tag or commit of a hub id]:NAME: _mistral_hint NAME' \
        '--chat-template=[Chat template to use instead of the model'\''s\: v1 … v13]:VERSION:(v1 v2 v3 v3-tekken v7 v7-tekken v11 v13)' \
        '*--adapter=[A LoRA adapter on top of the model\: a folder or a hub id, and how strong (1); repeatable]:FOLDER\[\:SCALE\]:_path_files -/' \
        '--backend=[Who computes\: our own engine (Mistral, Mixtral) or transformers (any other architecture, several GPUs)]:native|hf:(native hf)' \
        '--dtype=[Number format of the weights]:bfloat16|float16|float32|float64:(bfloat16 float16 float32 float64)' \
        '--quantize=[Hold the weights in 4 or 8 bits\: a quarter of the memory, or half]:none|nf4|int8|int4:(none nf4 int8 int4)' \
        '--kv=[Hold keys and values in 8 bits\: half the memory of a context]:none|int8:(none int8)' \
        '--device=[auto, cpu, cuda, cuda\:1, mps …]:DEVICE:(auto cpu cuda mps)' \
        '(--compile --no-compile)--compile[Compile the layers with torch for writing]' \
        '(--compile --no-compile)--no-compile[Not\: Compile the layers with torch for writing]' \
        '--context=[Tokens that fit, prompt and answer together]:N: _mistral_hint N' \
        '--threads=[CPU threads]:N: _mistral_hint N' \
        '(-t --temperature)-t+[0 picks the likeliest token]:NUMBER: _mistral_hint NUMBER' \
        '(-t --temperature)--temperature=[0 picks the likeliest token]:NUMBER: _mistral_hint NUMBER' \
        '--top-p=[Keep the likeliest tokens that reach this probability]:NUMBER: _mistral_hint NUMBER' \
        '--top-k=[Keep the N likeliest tokens]:N: _mistral_hint N' \
        '--min-p=[Keep tokens at least this fraction as likely as the likeliest]:NUMBER: _mistral_hint NUMBER' \
        '--repetition-penalty=[Make tokens of prompt and answer less likely]:NUMBER: _mistral_hint NUMBER' \
        '--presence-penalty=[Subtract once from tokens that stand in the answer]:NUMBER: _mistral_hint NUMBER' \
        '--frequency-penalty=[Subtract each time a token stands in the answer]:NUMBER: _mistral_hint NUMBER' \
        '*--logit-bias=[Add BIAS to the logit of token ID]:ID=BIAS: _mistral_hint ID=BIAS' \
        '--seed=[The same seed gives the same answer]:N: _mistral_hint N' \
        '--order=[Apply the temperature before (default) or after the filters]:temperature-first|temperature-last:(temperature-first temperature-last)' \
        '(-n --max-tokens)-n+[End the answer after N tokens]:N: _mistral_hint N' \
        '(-n --max-tokens)--max-tokens=[End the answer after N tokens]:N: _mistral_hint N' \
        '*--stop=[End the answer before this text]:TEXT: _mistral_hint TEXT' \
        '(--watchdog --no-watchdog)--watchdog[End an answer that says the same over and over\: up to 64 tokens, 8 times or more, 200 tokens or more]' \
        '(--watchdog --no-watchdog)--no-watchdog[Not\: End an answer that says the same over and over\: up to 64 tokens, 8 times or more, 200 tokens or more]' \
        '--overflow=[What to do when the context is full\: refuse the question (exit 6), or leave the oldest turns out of the prompt]:error|drop-oldest:(error drop-oldest)' \
        '(--json --no-json)--json[One JSON object\: text, tokens, reason, timings, model, parameters]' \
        '(--json --no-json)--no-json[Not\: One JSON object\: text, tokens, reason, timings, model, parameters]' \
        '--logprobs=[With --json\: log-probabilities of each token and the K likeliest]:K: _mistral_hint K' \
        '(-o --output)-o+[Write the answer to FILE (FILE.partial after Ctrl-C)]:FILE:_files' \
        '(-o --output)--output=[Write the answer to FILE (FILE.partial after Ctrl-C)]:FILE:_files' \
        '(-x --extract --no-extract)-x[Only the first fenced code block]' \
        '(-x --extract --no-extract)--extract[Only the first fenced code block]' \
        '(-x --extract --no-extract)--no-extract[Not\: Only the first fenced code block]' \
        '(--trim --no-trim)--trim[Leave out blanks and line ends around the answer]' \
        '(--trim --no-trim)--no-trim[Not\: Leave out blanks and line ends around the answer]' \
        '(--markdown --no-markdown)--markdown[Render Markdown on a terminal, while it comes]' \
        '(--markdown --no-markdown)--no-markdown[Not\: Render Markdown on a terminal, while it comes]' \
        '(--confidence --no-confidence)--confidence[On a terminal\: tint each token by its probability]' \
        '(--confidence --no-confidence)--no-confidence[Not\: On a terminal\: tint each token by its probability]' \
        '(--plain --no-plain)--plain[On a terminal\: the text as it is, wrapped at words]' \
        '(--plain --no-plain)--no-plain[Not\: On a terminal\: the text as it is, wrapped at words]' \
        '(--stats --no-stats)--stats[Say on stderr what the answer cost]' \
        '(--stats --no-stats)--no-stats[Not\: Say on stderr what the answer cost]' \
        '(-q --quiet --no-quiet)-q[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--quiet[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--no-quiet[Not\: Say nothing on stderr but errors]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:PROMPT: _mistral_hint PROMPT'
}

_mistral-chat() {
    _arguments -s -S \
        '--role=[Answer as this role does\: its system prompt and parameters (mistral roles); none for no role]:ROLE:_mistral_roles' \
        '(-s --system)-s+[The system prompt]:TEXT: _mistral_hint TEXT' \
        '(-s --system)--system=[The system prompt]:TEXT: _mistral_hint TEXT' \
        '--system-file=[Read the system prompt from a file]:FILE:_files' \
        '--script=[Take questions and commands from a file, a line each, instead of a keyboard]:FILE:_files' \
        '(-m --model)-m+[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '(-m --model)--model=[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '--revision=[Branch, tag or commit of a hub id]:NAME: _mistral_hint NAME' \
        '--chat-template=[Chat template to use instead of the model'\''s\: v1 … v13]:VERSION:(v1 v2 v3 v3-tekken v7 v7-tekken v11 v13)' \
        '*--adapter=[A LoRA adapter on top of the model\: a folder or a hub id, and how strong (1); repeatable]:FOLDER\[\:SCALE\]:_path_files -/' \
        '--backend=[Who computes\: our own engine (Mistral, Mixtral) or transformers (any other architecture, several GPUs)]:native|hf:(native hf)' \
        '--dtype=[Number format of the weights]:bfloat16|float16|float32|float64:(bfloat16 float16 float32 float64)' \
        '--quantize=[Hold the weights in 4 or 8 bits\: a quarter of the memory, or half]:none|nf4|int8|int4:(none nf4 int8 int4)' \
        '--kv=[Hold keys and values in 8 bits\: half the memory of a context]:none|int8:(none int8)' \
        '--device=[auto, cpu, cuda, cuda\:1, mps …]:DEVICE:(auto cpu cuda mps)' \
        '(--compile --no-compile)--compile[Compile the layers with torch for writing]' \
        '(--compile --no-compile)--no-compile[Not\: Compile the layers with torch for writing]' \
        '--context=[Tokens that fit, prompt and answer together]:N: _mistral_hint N' \
        '--threads=[CPU threads]:N: _mistral_hint N' \
        '(-t --temperature)-t+[0 picks the likeliest token]:NUMBER: _mistral_hint NUMBER' \
        '(-t --temperature)--temperature=[0 picks the likeliest token]:NUMBER: _mistral_hint NUMBER' \
        '--top-p=[Keep the likeliest tokens that reach this probability]:NUMBER: _mistral_hint NUMBER' \
        '--top-k=[Keep the N likeliest tokens]:N: _mistral_hint N' \
        '--min-p=[Keep tokens at least this fraction as likely as the likeliest]:NUMBER: _mistral_hint NUMBER' \
        '--repetition-penalty=[Make tokens of prompt and answer less likely]:NUMBER: _mistral_hint NUMBER' \
        '--presence-penalty=[Subtract once from tokens that stand in the answer]:NUMBER: _mistral_hint NUMBER' \
        '--frequency-penalty=[Subtract each time a token stands in the answer]:NUMBER: _mistral_hint NUMBER' \
        '*--logit-bias=[Add BIAS to the logit of token ID]:ID=BIAS: _mistral_hint ID=BIAS' \
        '--seed=[The same seed gives the same answer]:N: _mistral_hint N' \
        '--order=[Apply the temperature before (default) or after the filters]:temperature-first|temperature-last:(temperature-first temperature-last)' \
        '(-n --max-tokens)-n+[End the answer after N tokens]:N: _mistral_hint N' \
        '(-n --max-tokens)--max-tokens=[End the answer after N tokens]:N: _mistral_hint N' \
        '*--stop=[End the answer before this text]:TEXT: _mistral_hint TEXT' \
        '(--watchdog --no-watchdog)--watchdog[End an answer that says the same over and over\: up to 64 tokens, 8 times or more, 200 tokens or more]' \
        '(--watchdog --no-watchdog)--no-watchdog[Not\: End an answer that says the same over and over\: up to 64 tokens, 8 times or more, 200 tokens or more]' \
        '--overflow=[What to do when the context is full\: refuse the question (exit 6), or leave the oldest turns out of the prompt]:error|drop-oldest:(error drop-oldest)' \
        '--keys=[Which editor'\''s keys edit the line that you type]:emacs|vi:(emacs vi)' \
        '--resume=[Go on with a chat (without a name, the last one) and with its own model, unless -m names another]:\[CHAT|last\]:_mistral_chats' \
        '(--store --no-store)--store[Keep the chat on this disk (the default), or leave no trace]' \
        '(--store --no-store)--no-store[Not\: Keep the chat on this disk (the default), or leave no trace]' \
        '(--keep-cache --no-keep-cache)--keep-cache[Keep what was computed of the chat too, so that --resume need not read a long one again]' \
        '(--keep-cache --no-keep-cache)--no-keep-cache[Not\: Keep what was computed of the chat too, so that --resume need not read a long one again]' \
        '(--plain --no-plain)--plain[On a terminal\: the text as it is, wrapped at words]' \
        '(--plain --no-plain)--no-plain[Not\: On a terminal\: the text as it is, wrapped at words]' \
        '(--stats --no-stats)--stats[Say on stderr what the answer cost]' \
        '(--stats --no-stats)--no-stats[Not\: Say on stderr what the answer cost]' \
        '(-q --quiet --no-quiet)-q[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--quiet[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--no-quiet[Not\: Say nothing on stderr but errors]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]'
}

_mistral-history() {
    _arguments -s -S \
        '(-o --output)-o+[export\: write a file, .md or .json]:FILE:_files' \
        '(-o --output)--output=[export\: write a file, .md or .json]:FILE:_files' \
        '--as=[export\: Markdown or JSON, whatever the file is called]:md|json:(md json)' \
        '(-n --most)-n+[search\: N turns at most]:N: _mistral_hint N' \
        '(-n --most)--most=[search\: N turns at most]:N: _mistral_hint N' \
        '(--yes -y)--yes[remove\: do not ask]' \
        '(--yes -y)-y[remove\: do not ask]' \
        '--json[Print one JSON object]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:ACTION:(list show search export remove path)' \
        '*:CHAT:_mistral_chats'
}

_mistral-roles() {
    _arguments -s -S \
        '--json[Print one JSON object]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:ACTION:(list show path)' \
        '2:ROLE:_mistral_roles'
}

_mistral-templates() {
    _arguments -s -S \
        '--json[Print one JSON object]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:ACTION:(list show path)' \
        '2:TEMPLATE:_mistral_templates'
}

_mistral-show() {
    _arguments -s -S \
        '--revision=[Branch, tag or commit of a hub id]:NAME: _mistral_hint NAME' \
        '--on=[Say whether the adapter fits this model]:MODEL:_mistral_models' \
        '--tree[Draw the modules with their shapes]' \
        '--json[Print one JSON object]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:MODEL:_mistral_models'
}

_mistral-list() {
    _arguments -s -S \
        '--aliases[Show the short names instead, and the models they stand for]' \
        '--json[Print one JSON object]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]'
}

_mistral-pull() {
    _arguments -s -S \
        '--revision=[Branch, tag or commit of a hub id]:NAME: _mistral_hint NAME' \
        '--verify[Read back every byte that is here and compare it with the hub'\''s checksums]' \
        '(--yes -y)--yes[Do not ask]' \
        '(--yes -y)-y[Do not ask]' \
        '--json[Print one JSON object]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:ID:_mistral_ids'
}

_mistral-remove() {
    _arguments -s -S \
        '--revision=[Branch, tag or commit of a hub id]:NAME: _mistral_hint NAME' \
        '(--yes -y)--yes[Do not ask]' \
        '(--yes -y)-y[Do not ask]' \
        '--json[Print one JSON object]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '*:MODEL…:_mistral_models'
}

_mistral-use() {
    _arguments -s -S \
        '--json[Print one JSON object]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:MODEL:_mistral_models'
}

_mistral-tokens() {
    _arguments -s -S \
        '*-f+[Add a file to the prompt]:FILE:_files' \
        '*--file=[Add a file to the prompt]:FILE:_files' \
        '(--stdin --no-stdin)--stdin[Read stdin where it is not a terminal, and add it last (the default)]' \
        '(--stdin --no-stdin)--no-stdin[Not\: Read stdin where it is not a terminal, and add it last (the default)]' \
        '--template=[Put prompt, files and stdin where this template has places for them\: a name (mistral templates) or a file]:TEMPLATE:_mistral_templates' \
        '*--set=[With --template\: what stands for {{FIELD}}; repeatable]:FIELD=TEXT:_mistral_fields' \
        '--role=[Answer as this role does\: its system prompt and parameters (mistral roles); none for no role]:ROLE:_mistral_roles' \
        '(-s --system)-s+[The system prompt]:TEXT: _mistral_hint TEXT' \
        '(-s --system)--system=[The system prompt]:TEXT: _mistral_hint TEXT' \
        '--system-file=[Read the system prompt from a file]:FILE:_files' \
        '--prefix=[Start the answer with these words]:TEXT: _mistral_hint TEXT' \
        '(--raw --no-raw)--raw[Send the prompt as it is, without the chat template]' \
        '(--raw --no-raw)--no-raw[Not\: Send the prompt as it is, without the chat template]' \
        '--messages=[A whole conversation as JSON\: a list of messages, or an object with messages and tools]:FILE:_files' \
        '(-m --model)-m+[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '(-m --model)--model=[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '--revision=[Branch, tag or commit of a hub id]:NAME: _mistral_hint NAME' \
        '--tokenizer=[A tokenizer file, or a folder that holds one, instead of a model'\''s]:PATH:_files' \
        '--chat-template=[Chat template to use instead of the model'\''s\: v1 … v13]:VERSION:(v1 v2 v3 v3-tekken v7 v7-tekken v11 v13)' \
        '--json[Print one JSON object\: version, ids, pieces]' \
        '(-q --quiet --no-quiet)-q[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--quiet[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--no-quiet[Not\: Say nothing on stderr but errors]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:TEXT: _mistral_hint TEXT'
}

_mistral-bench() {
    _arguments -s -S \
        '--random=[Random weights of a real shape, in memory, instead of MODEL\: tiny, 7b, nemo-12b, mixtral-small …]:SHAPE: _mistral_hint SHAPE' \
        '--keep=[With --random\: write the model there (as many bytes as a real one), or take it if it is there]:FOLDER:_path_files -/' \
        '--prompt-lengths=[Prompts to read (default\: 128,512)]:N,N…: _mistral_hint '\''N,N…'\''' \
        '--depths=[Tokens in the cache when decoding begins (default\: 100,1000)]:N,N…: _mistral_hint '\''N,N…'\''' \
        '--batch=[Answers decoded side by side (default\: 8]:N: _mistral_hint N' \
        '--repeat=[Times each is measured (default\: 3)]:N: _mistral_hint N' \
        '(--starts --no-starts)--starts[Time the program'\''s start, files cached and not]' \
        '(--starts --no-starts)--no-starts[Not\: Time the program'\''s start, files cached and not]' \
        '--quick[Measure less, and once\: a prompt of 128, a depth of 100]' \
        '(-m --model)-m+[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '(-m --model)--model=[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '--revision=[Branch, tag or commit of a hub id]:NAME: _mistral_hint NAME' \
        '--chat-template=[Chat template to use instead of the model'\''s\: v1 … v13]:VERSION:(v1 v2 v3 v3-tekken v7 v7-tekken v11 v13)' \
        '--dtype=[Number format of the weights]:bfloat16|float16|float32|float64:(bfloat16 float16 float32 float64)' \
        '--quantize=[Hold the weights in 4 or 8 bits\: a quarter of the memory, or half]:none|nf4|int8|int4:(none nf4 int8 int4)' \
        '--kv=[Hold keys and values in 8 bits\: half the memory of a context]:none|int8:(none int8)' \
        '--device=[auto, cpu, cuda, cuda\:1, mps …]:DEVICE:(auto cpu cuda mps)' \
        '--context=[Tokens that fit, prompt and answer together]:N: _mistral_hint N' \
        '--threads=[CPU threads]:N: _mistral_hint N' \
        '--backend=[Who computes\: our own engine (Mistral, Mixtral) or transformers (any other architecture, several GPUs)]:native|hf:(native hf)' \
        '(-q --quiet --no-quiet)-q[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--quiet[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--no-quiet[Not\: Say nothing on stderr but errors]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:MODEL:_mistral_models'
}

_mistral-perplexity() {
    _arguments -s -S \
        '--window=[Tokens read at once (default\: 2048, or what the model can)]:N: _mistral_hint N' \
        '--stride=[Tokens between the beginnings of two windows (default\: half a window)]:N: _mistral_hint N' \
        '--limit=[Read the first N tokens only]:N: _mistral_hint N' \
        '(-m --model)-m+[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '(-m --model)--model=[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '--revision=[Branch, tag or commit of a hub id]:NAME: _mistral_hint NAME' \
        '--chat-template=[Chat template to use instead of the model'\''s\: v1 … v13]:VERSION:(v1 v2 v3 v3-tekken v7 v7-tekken v11 v13)' \
        '*--adapter=[A LoRA adapter on top of the model\: a folder or a hub id, and how strong (1); repeatable]:FOLDER\[\:SCALE\]:_path_files -/' \
        '--dtype=[Number format of the weights]:bfloat16|float16|float32|float64:(bfloat16 float16 float32 float64)' \
        '--quantize=[Hold the weights in 4 or 8 bits\: a quarter of the memory, or half]:none|nf4|int8|int4:(none nf4 int8 int4)' \
        '--kv=[Hold keys and values in 8 bits\: half the memory of a context]:none|int8:(none int8)' \
        '--device=[auto, cpu, cuda, cuda\:1, mps …]:DEVICE:(auto cpu cuda mps)' \
        '--threads=[CPU threads]:N: _mistral_hint N' \
        '(-q --quiet --no-quiet)-q[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--quiet[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--no-quiet[Not\: Say nothing on stderr but errors]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:FILE:_files'
}

_mistral-quant-diff() {
    _arguments -s -S \
        '--a=[What is judged\: nf4, int8, nf4,kv=int8, dtype=float32 …]:SIDE: _mistral_hint SIDE' \
        '--b=[What it is compared with]:SIDE: _mistral_hint SIDE' \
        '--lines[Each line is a prompt, sent as a chat]' \
        '--raw[With --lines\: send each as it is, without the template]' \
        '--window=[Without --lines\: cut the text into windows of N tokens]:N: _mistral_hint N' \
        '(-n --max-tokens)-n+[Tokens of each answer that is compared]:N: _mistral_hint N' \
        '(-n --max-tokens)--max-tokens=[Tokens of each answer that is compared]:N: _mistral_hint N' \
        '--limit=[Prompts at most, from the beginning]:N: _mistral_hint N' \
        '(-m --model)-m+[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '(-m --model)--model=[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '--revision=[Branch, tag or commit of a hub id]:NAME: _mistral_hint NAME' \
        '--chat-template=[Chat template to use instead of the model'\''s\: v1 … v13]:VERSION:(v1 v2 v3 v3-tekken v7 v7-tekken v11 v13)' \
        '*--adapter=[A LoRA adapter on top of the model\: a folder or a hub id, and how strong (1); repeatable]:FOLDER\[\:SCALE\]:_path_files -/' \
        '--dtype=[Number format of the weights]:bfloat16|float16|float32|float64:(bfloat16 float16 float32 float64)' \
        '--kv=[Hold keys and values in 8 bits\: half the memory of a context]:none|int8:(none int8)' \
        '--device=[auto, cpu, cuda, cuda\:1, mps …]:DEVICE:(auto cpu cuda mps)' \
        '--threads=[CPU threads]:N: _mistral_hint N' \
        '(-q --quiet --no-quiet)-q[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--quiet[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--no-quiet[Not\: Say nothing on stderr but errors]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:FILE:_files'
}

_mistral-quantize() {
    _arguments -s -S \
        '--to=[What the weights become]:nf4|int8|int4:(nf4 int8 int4)' \
        '(-o --output)-o+[Write a folder that transformers reads, too]:DIR:_path_files -/' \
        '(-o --output)--output=[Write a folder that transformers reads, too]:DIR:_path_files -/' \
        '--force[Replace the model in DIR]' \
        '--revision=[Branch, tag or commit of a hub id]:NAME: _mistral_hint NAME' \
        '--dtype=[Number format of the weights]:bfloat16|float16|float32|float64:(bfloat16 float16 float32 float64)' \
        '--device=[auto, cpu, cuda, cuda\:1, mps …]:DEVICE:(auto cpu cuda mps)' \
        '--threads=[CPU threads]:N: _mistral_hint N' \
        '--json[Print one JSON object]' \
        '(-q --quiet --no-quiet)-q[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--quiet[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--no-quiet[Not\: Say nothing on stderr but errors]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:MODEL:_mistral_models'
}

_mistral-merge() {
    _arguments -s -S \
        '(-o --output)-o+[The new model'\''s folder]:DIR:_path_files -/' \
        '(-o --output)--output=[The new model'\''s folder]:DIR:_path_files -/' \
        '--force[Replace the model in DIR]' \
        '--quantize=[Quantize the merged weights, in a form that transformers reads, too]:nf4|int8:(nf4 int8)' \
        '--revision=[Branch, tag or commit of a hub id]:NAME: _mistral_hint NAME' \
        '--dtype=[Number format of the weights]:bfloat16|float16|float32|float64:(bfloat16 float16 float32 float64)' \
        '--threads=[CPU threads]:N: _mistral_hint N' \
        '--json[Print one JSON object]' \
        '(-q --quiet --no-quiet)-q[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--quiet[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--no-quiet[Not\: Say nothing on stderr but errors]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:MODEL:_mistral_models' \
        '*:FOLDER\[\:SCALE\]…:_path_files -/'
}

_mistral-tune() {
    _arguments -s -S \
        '--data=[What is learnt\: .jsonl, .json, .csv, .tsv or plain text]:FILE|ID:_files' \
        '(-o --output)-o+[The adapter'\''s folder, new or empty (default\: DATA-adapter, here)]:DIR:_path_files -/' \
        '(-o --output)--output=[The adapter'\''s folder, new or empty (default\: DATA-adapter, here)]:DIR:_path_files -/' \
        '--dry-run[Only tell what it would take]' \
        '--resume[Go on with the training in DIR, from its last checkpoint]' \
        '--recipe=[A TOML file with any of the flags below, as beside each adapter\: rank = 8]:FILE:_files' \
        '*--sample=[Answered by base and adapter in the end, side by side]:PROMPT: _mistral_hint PROMPT' \
        '--samples=[How many rows kept apart are answered so]:N: _mistral_hint N' \
        '--revision=[Branch, tag or commit of a hub id]:NAME: _mistral_hint NAME' \
        '--format=[What a row is\: chat (messages, tools), sharegpt (conversations), instruction (instruction, input, output), completion (prompt, completion\: a question and its answer), translation, text, or raw (prompt, completion\: no chat format). By default what its columns say]:chat|sharegpt|instruction|completion|translation|text|raw:(chat sharegpt instruction completion translation text raw)' \
        '*--map=[What the data calls a column\: --map prompt=question,completion=answer]:OURS=THEIRS: _mistral_hint OURS=THEIRS' \
        '--source=[Translate from this language\: its column, en or fr]:LANGUAGE: _mistral_hint LANGUAGE' \
        '--target=[Translate into this language\: its column, en or fr]:LANGUAGE: _mistral_hint LANGUAGE' \
        '--subset=[Which subset of a hub'\''s data set, such as en-fr]:NAME: _mistral_hint NAME' \
        '--split=[Which split of a hub'\''s data set (train)]:NAME: _mistral_hint NAME' \
        '--strict[The first row that cannot be used is an error]' \
        '(-y --yes)-y[Download a hub'\''s data set without asking, however large it is]' \
        '(-y --yes)--yes[Download a hub'\''s data set without asking, however large it is]' \
        '--adapter=[An adapter to go on from, a folder or a hub id]:PATH:_files' \
        '--rank=[Rank of the two matrices of each adapter (default\: 16)]:N: _mistral_hint N' \
        '--alpha=[The update is scaled by ALPHA / RANK (default\: 32)]:NUMBER: _mistral_hint NUMBER' \
        '--dropout=[Part of an adapter'\''s inputs that is left out by chance (default\: 0)]:NUMBER: _mistral_hint NUMBER' \
        '--targets=[Layers that get an adapter\: some of q, k, v, o, gate, up, down with commas between, or all-linear (default\: q,v)]:LIST: _mistral_hint LIST' \
        '--lr=[Learning rate at its highest (default\: 2e-4)]:NUMBER: _mistral_hint NUMBER' \
        '--schedule=[How the learning rate falls (default\: cosine)]:cosine|linear|constant:(cosine linear constant)' \
        '--warmup=[Part of the steps in which the learning rate rises (default\: 0.03)]:NUMBER: _mistral_hint NUMBER' \
        '--epochs=[How often each sample is seen (default\: 3)]:NUMBER: _mistral_hint NUMBER' \
        '--steps=[Steps of the optimizer, instead of --epochs (default\: 0, as --epochs has it)]:N: _mistral_hint N' \
        '--loss=[What is learnt\: the assistant'\''s words and their end, or every token (default\: answers)]:answers|all:(answers all)' \
        '--eval-split=[Part of the rows that is kept apart, and asked before and after (default\: 0.1)]:NUMBER: _mistral_hint NUMBER' \
        '--eval-every=[Steps from one time to the next that they are asked while it trains (default\: 0, once an epoch)]:N: _mistral_hint N' \
        '--seed=[The same seed gives the same order, split and beginning (default\: 0)]:N: _mistral_hint N' \
        '--save-every=[Steps from one checkpoint to the next (default\: 50)]:N: _mistral_hint N' \
        '--quantize=[The base'\''s weights while it learns\: as they are (LoRA), or in 4 bits (QLoRA), a quarter of the memory (default\: none)]:none|nf4:(none nf4)' \
        '--batch=[Sequences computed at once (default\: 4)]:N: _mistral_hint N' \
        '--accumulate=[Batches of one step of the optimizer (default\: 4)]:N: _mistral_hint N' \
        '--length=[Tokens of a sequence at most]:N: _mistral_hint N' \
        '(--packing --no-packing)--packing[Fill sequences with several short samples, each of which sees only itself (default\: no)]' \
        '(--packing --no-packing)--no-packing[Not\: Fill sequences with several short samples, each of which sees only itself (default\: no)]' \
        '(--checkpointing --no-checkpointing)--checkpointing[Compute activations twice instead of keeping them\: less memory, a third more time (default\: yes)]' \
        '(--checkpointing --no-checkpointing)--no-checkpointing[Not\: Compute activations twice instead of keeping them\: less memory, a third more time (default\: yes)]' \
        '--threads=[CPU threads]:N: _mistral_hint N' \
        '--json[Print one JSON object]' \
        '(-q --quiet --no-quiet)-q[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--quiet[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--no-quiet[Not\: Say nothing on stderr but errors]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:MODEL:_mistral_models'
}

_mistral-data() {
    _arguments -s -S \
        '--examples=[Samples to show (2)]:N: _mistral_hint N' \
        '--length=[Tokens of a sample at most (1024)]:N: _mistral_hint N' \
        '--loss=[What is learnt\: the answers, or every token]:answers|all:(answers all)' \
        '--format=[What a row is\: chat (messages, tools), sharegpt (conversations), instruction (instruction, input, output), completion (prompt, completion\: a question and its answer), translation, text, or raw (prompt, completion\: no chat format). By default what its columns say]:chat|sharegpt|instruction|completion|translation|text|raw:(chat sharegpt instruction completion translation text raw)' \
        '*--map=[What the data calls a column\: --map prompt=question,completion=answer]:OURS=THEIRS: _mistral_hint OURS=THEIRS' \
        '--source=[Translate from this language\: its column, en or fr]:LANGUAGE: _mistral_hint LANGUAGE' \
        '--target=[Translate into this language\: its column, en or fr]:LANGUAGE: _mistral_hint LANGUAGE' \
        '--subset=[Which subset of a hub'\''s data set, such as en-fr]:NAME: _mistral_hint NAME' \
        '--split=[Which split of a hub'\''s data set (train)]:NAME: _mistral_hint NAME' \
        '--strict[The first row that cannot be used is an error]' \
        '(-y --yes)-y[Download a hub'\''s data set without asking, however large it is]' \
        '(-y --yes)--yes[Download a hub'\''s data set without asking, however large it is]' \
        '--search=[Only chats that hold these words]:WORDS: _mistral_hint WORDS' \
        '--branches[Every branch of a chat, other tries of an answer too]' \
        '--unfinished[Answers too that were stopped, cut off, or ended as they repeated themselves]' \
        '(-o --output)-o+[A .jsonl file]:FILE:_files' \
        '(-o --output)--output=[A .jsonl file]:FILE:_files' \
        '(-m --model)-m+[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '(-m --model)--model=[A folder, a hub id (OWNER/NAME), a short name (7b) or builtin]:MODEL:_mistral_models' \
        '--revision=[Branch, tag or commit of a hub id]:NAME: _mistral_hint NAME' \
        '--tokenizer=[A tokenizer file, or a folder that holds one, instead of a model'\''s]:PATH:_files' \
        '--chat-template=[Chat template to use instead of the model'\''s\: v1 … v13]:VERSION:(v1 v2 v3 v3-tekken v7 v7-tekken v11 v13)' \
        '--json[Print one JSON object]' \
        '(-q --quiet --no-quiet)-q[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--quiet[Say nothing on stderr but errors]' \
        '(-q --quiet --no-quiet)--no-quiet[Not\: Say nothing on stderr but errors]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:ACTION:(check from-history)' \
        '*:FILE|CHAT:_mistral_lessons'
}

_mistral-cache() {
    _arguments -s -S \
        '--json[Print one JSON object]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:ACTION:(list remove clear)' \
        '*:COPY:_mistral_copies'
}

_mistral-config() {
    _arguments -s -S \
        '--json[Print one JSON object]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:ACTION:(list get set unset path)' \
        '*:OPTION \[VALUE\]:_mistral_settings'
}

_mistral-completions() {
    _arguments -s -S \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1:SHELL:(bash zsh fish)'
}

_mistral-doctor() {
    _arguments -s -S \
        '--json[Print one JSON object]' \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]'
}

_mistral() {
    local curcontext=$curcontext state ret=1
    local -a line _mistral_words=($words) commands
    local -A opt_args
    commands=(
        'gen:Answer one prompt: for questions, pipes and scripts'
        'chat:Hold a conversation in the terminal'
        'history:Look through the chats that are kept'
        'roles:Show the roles that --role knows'
        'templates:Show the prompt templates that gen --template knows'
        'show:Tell what a model is, from its files alone'
        'list:Show the models on this disk, and the short names of others'
        'pull:Download a model from the Hugging Face hub'
        'remove:Remove a model from this disk'
        'use:Set the model that answers where none is named'
        'tokens:Show the tokens that would be sent to a model'
        'bench:Measure how fast a model runs here'
        'perplexity:Measure how well a model foretells a text'
        'quant-diff:Compare a model'\''s words in two quantizations, on your own text'
        'quantize:Hold a model'\''s weights in fewer bits, ahead of time'
        'merge:Put LoRA adapters into a model'\''s weights for good'
        'tune:Train a LoRA adapter on your own data'
        'data:Check training data, or make it of kept chats'
        'cache:Show or free quantized copies of models and kept caches'
        'config:Show the settings and who set them, or change them'
        'completions:Print what makes a shell complete commands at TAB'
        'doctor:Check this installation and say what to mend'
    )
    _arguments -C -s -S \
        '--color=[When to colour\: by default on a terminal]:auto|always|never:(auto always never)' \
        '--debug[Show the traceback of an error]' \
        '--version[Show the version and exit]' \
        '(-h --help)-h[Show the help and exit]' \
        '(-h --help)--help[Show the help and exit]' \
        '1: :->command' \
        '*:: :->rest' && ret=0
    case $state in
        command) _describe -t commands 'command of mistral' commands && ret=0 ;;
        rest)
            curcontext=${curcontext%:*:*}:mistral-${line[1]}:
            (( $+functions[_mistral-${line[1]}] )) && _mistral-${line[1]} && ret=0 ;;
    esac
    return ret
}

# In a folder of $fpath this file is the function's body; read by eval or source it says whose completion it is.
if [[ ${funcstack[1]} == _mistral ]]; then
    _mistral "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
    compdef _mistral mistral mistral-cli
fi
