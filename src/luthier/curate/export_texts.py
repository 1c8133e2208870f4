"""The words and settings beside an export: how to point each tool at it."""

LLAMA_FACTORY_INFO = (
    {"formatting": "sharegpt", "columns": {"messages": "conversations", "system": "system", "tools": "tools"}},
    {"formatting": "sharegpt", "ranking": True,
     "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected", "system": "system",
                 "tools": "tools"}},
)  # fmt: skip
"""An entry of dataset_info.json for conversations, and for pairs of answers."""

AXOLOTL_YAML = {
    "train": """\
# Into your configuration, for supervised training. Paths are relative to where axolotl is started.
datasets:
  - path: train.jsonl
    ds_type: json
    type: chat_template
    field_messages: messages
    field_tools: tools
    message_property_mappings:
      role: role
      content: content
    message_field_training: train
    roles_to_train: []
    train_on_eos: turn
test_datasets:
  - path: dev.jsonl
    ds_type: json
    split: train
    type: chat_template
    field_messages: messages
    field_tools: tools
    message_property_mappings:
      role: role
      content: content
    message_field_training: train
    roles_to_train: []
    train_on_eos: turn
""",
    "preferences": """\

# In place of the lines above, for training on pairs of answers:
# rl: dpo
# datasets:
#   - path: preferences.jsonl
#     ds_type: json
#     split: train
#     type: chat_template.default
#     field_messages: messages
#     field_chosen: chosen
#     field_rejected: rejected
""",
}

README_OF = {
    "trl": """\
# For TRL

Conversational prompt and completion; a conversation of several trained answers is a row for each of them. TRL trains
on completions alone, so no weight is lost. `tools` is a JSON text, which TRL reads.

```python
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

train = load_dataset("json", data_files="train.jsonl", split="train")
dev = load_dataset("json", data_files="dev.jsonl", split="train")
trainer = SFTTrainer(model="YOUR-MODEL", args=SFTConfig(completion_only_loss=True),
                     train_dataset=train, eval_dataset=dev)
```

`preferences.jsonl` has prompt, chosen and rejected, for `DPOTrainer`.
""",
    "llama-factory": """\
# For LLaMA-Factory

The sharegpt format. Point `dataset_dir` at this folder; `dataset_info.json` is there.

```yaml
dataset_dir: THIS-FOLDER
dataset: luthier_train
eval_dataset: luthier_dev
mask_history: false
```

With `stage: dpo`, `dataset: luthier_preferences`. It trains on every turn of the model.
""",
    "axolotl": """\
# For Axolotl

Messages for `type: chat_template`; each says under `train` whether it is trained on. The lines to paste are in
`config.yaml`.
""",
}
